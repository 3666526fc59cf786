-- $1 text id
SELECT id, task, state, result, traceback, queue, worker, retries, created_at, started_at, done_at, args FROM task_result WHERE id = $1
