-- Is anything known of a task that has no result yet? In the outbox it waits for its time, in message for a worker. $1 text id
-- message has no index on task_id, because each claim would pay for it: the table is small, and few ask for an id without a result.
SELECT task, queue, due_at, 'PENDING' AS state FROM {schema}.outbox WHERE task_id = $1
UNION ALL
SELECT task, queue, NULL, CASE WHEN worker IS NULL THEN 'PENDING' ELSE 'RECEIVED' END FROM {schema}.message WHERE task_id = $1
LIMIT 1
