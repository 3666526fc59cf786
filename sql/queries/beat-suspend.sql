-- Suspends a due schedule that cannot be evaluated: marks it finished and stores an error. It stays suspended until its definition changes
-- or a beat starts.
-- $1 uuid id · $2 bigint version · $3 text reason · $4 text tzdata version of this process. Locks: the row, with SKIP LOCKED.
WITH locked AS (
  SELECT id FROM {schema}.schedule WHERE id = $1 AND version = $2 FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.schedule s SET next_run_at = NULL, finished = true, last_error = $3, tzdata = $4 FROM locked WHERE s.id = locked.id RETURNING s.id
