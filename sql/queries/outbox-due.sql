-- The messages of the outbox that are due, for a broker outside of this database: kept locked until they are published and deleted.
-- $1 int how many. Locks: rows of outbox with SKIP LOCKED, until the end of the transaction.
SELECT task_id, queue, priority, task, headers, properties, body FROM {schema}.outbox WHERE due_at <= now()
ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
