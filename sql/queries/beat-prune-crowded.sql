-- For the schedules of one page, ordered by id: deletes all runs of each schedule except the newest. A schedule that runs every second
-- makes 400 MB of history in ten days.
-- $1 uuid: only schedules after this one · $2 int maximum number of schedules · $3 int runs to keep for each schedule
WITH page AS (
  SELECT id FROM {schema}.schedule WHERE id > $1 AND total_run_count > $3 ORDER BY id LIMIT $2
), bound AS (
  SELECT page.id, newest.tick FROM page,
    LATERAL (SELECT tick FROM {schema}.schedule_run WHERE schedule_id = page.id ORDER BY tick DESC OFFSET $3 LIMIT 1) AS newest
), deleted AS (
  DELETE FROM {schema}.schedule_run r USING bound WHERE r.schedule_id = bound.id AND r.tick <= bound.tick RETURNING 1
)
SELECT (SELECT count(*)::int FROM deleted) AS deleted, (SELECT count(*)::int FROM page) AS schedules,
  (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last
