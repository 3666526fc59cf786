-- Gives planned schedules their first tick, unless their definition changed meanwhile (compare-and-swap on version).
-- $1 jsonb array of {id, version, next, finished, error} · $2 text tzdata version of this process
-- Locks: rows of schedule in the order of id with SKIP LOCKED; a row that somebody holds is planned later.
WITH p AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS x (id uuid, version bigint, next timestamptz, finished boolean, error text)
), held AS (
  SELECT s.id, p.next, p.finished, p.error FROM {schema}.schedule s JOIN p ON p.id = s.id AND p.version = s.version
  WHERE s.enabled AND s.next_run_at IS NULL AND NOT s.finished ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
)
UPDATE {schema}.schedule s SET next_run_at = held.next, finished = held.finished, last_error = held.error, tzdata = $2
FROM held WHERE s.id = held.id RETURNING s.id
