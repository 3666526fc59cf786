-- Returns everything that is stored about a task, except its log lines. $1 text id
SELECT id, task, state, result, traceback, queue, worker, retries, created_at, started_at, done_at, args,
  CASE WHEN state = 'RETRY' THEN next_at END AS next_at, expires_at, parent_id, root_id, children, progress
FROM {schema}.task_result WHERE id = $1
