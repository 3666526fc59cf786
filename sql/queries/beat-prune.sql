-- Deletes old runs, but never the last run of a schedule. $1 int days to keep · $2 int limit
WITH old AS (
  SELECT r.ctid FROM {schema}.schedule_run r
  WHERE r.decided_at < now() - make_interval(days => $1)
    AND NOT EXISTS (SELECT FROM {schema}.schedule s WHERE s.id = r.schedule_id AND s.last_task_id = r.task_id)
  LIMIT $2
), deleted AS (
  DELETE FROM {schema}.schedule_run WHERE ctid = ANY (ARRAY (SELECT ctid FROM old)) RETURNING 1
)
SELECT count(*)::int AS deleted FROM deleted
