-- Resets outcomes of unreachable tasks to PENDING, because the task before them in the chain runs again.
-- $1 text[] ids. Locks: rows of task_result.
UPDATE {schema}.task_result SET state = 'PENDING', result = NULL, traceback = NULL, done_at = NULL, worker = NULL
WHERE id = ANY ($1::text[]) AND state IN ('FAILURE', 'REVOKED') AND started_at IS NULL
