-- Corrects next_run_at, unless the row changed since it was read (compare-and-swap on next_run_at and version).
-- $1 jsonb array of {id, version, old, next} · $2 text tzdata version of this process. Locks: rows of schedule with SKIP LOCKED.
WITH c AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS x (id uuid, version bigint, old timestamptz, next timestamptz)
), locked AS (
  SELECT s.id, c.next FROM {schema}.schedule s JOIN c ON c.id = s.id AND c.version = s.version AND c.old = s.next_run_at
  ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
)
UPDATE {schema}.schedule s SET next_run_at = locked.next, tzdata = $2 FROM locked WHERE s.id = locked.id RETURNING s.id
