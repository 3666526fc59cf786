-- Returns due messages of the outbox for a broker outside of this database, and keeps them locked until they are published and deleted.
-- $1 int maximum number of messages. Locks: rows of outbox with SKIP LOCKED, until the end of the transaction.
SELECT task_id, queue, priority, task, headers, properties, body FROM {schema}.outbox WHERE due_at <= now()
ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
