-- Looks for a task without a result: in the outbox it waits for its time, in message for a worker. $1 text id
-- message has no index on task_id, because each claim would pay for it; the table is small and the query is rare.
SELECT task, queue, due_at, 'PENDING' AS state FROM {schema}.outbox WHERE task_id = $1
UNION ALL
SELECT task, queue, NULL, CASE WHEN worker IS NULL THEN 'PENDING' ELSE 'RECEIVED' END FROM {schema}.message WHERE task_id = $1
LIMIT 1
