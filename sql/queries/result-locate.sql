-- Finds a task without a result. In the table outbox its message waits until it is due, in the table message it waits for a worker.
-- $1 text id
-- The table message has no index on task_id, because it would make each claim slower. The table is small and this query is rare.
SELECT task, queue, due_at, 'PENDING' AS state FROM {schema}.outbox WHERE task_id = $1
UNION ALL
SELECT task, queue, NULL, CASE WHEN worker IS NULL THEN 'PENDING' ELSE 'RECEIVED' END FROM {schema}.message WHERE task_id = $1
LIMIT 1
