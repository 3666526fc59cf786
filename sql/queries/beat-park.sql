-- A schedule that cannot be evaluated: it rests with its reason until its definition changes, and stops nobody else.
-- $1 uuid id · $2 bigint version · $3 text reason
UPDATE schedule SET next_run_at = NULL, finished = true, last_error = $3 WHERE id = $1 AND version = $2
