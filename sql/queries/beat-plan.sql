-- Sets the first tick of schedules, unless their definition changed since it was read (compare-and-swap on version).
-- $1 jsonb array of {id, version, next, finished, error} · $2 text tzdata version of this process
-- Locks: rows of schedule, ordered by id, with SKIP LOCKED. A locked row is planned later.
WITH p AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS x (id uuid, version bigint, next timestamptz, finished boolean, error text)
), locked AS (
  SELECT s.id, p.next, p.finished, p.error FROM {schema}.schedule s JOIN p ON p.id = s.id AND p.version = s.version
  WHERE s.enabled AND s.next_run_at IS NULL AND NOT s.finished ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
)
UPDATE {schema}.schedule s SET next_run_at = locked.next, finished = locked.finished, last_error = locked.error, tzdata = $2
FROM locked WHERE s.id = locked.id RETURNING s.id
