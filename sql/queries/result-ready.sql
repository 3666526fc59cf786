-- Returns the outcomes of the tasks that have ended. $1 text[] ids
SELECT id, task, state, result, traceback, queue, worker, retries, created_at, started_at, done_at FROM {schema}.task_result
WHERE id = ANY ($1::text[]) AND state IN ('SUCCESS', 'FAILURE', 'REVOKED')
