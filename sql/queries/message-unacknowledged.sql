-- Returns which of these messages still exist. They have no outcome, so only the message shows whether another
-- transaction acknowledged it.
-- $1 bigint[] messages. Locks: their rows, until the end of the transaction.
SELECT id FROM {schema}.message WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
