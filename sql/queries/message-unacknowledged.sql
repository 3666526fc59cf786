-- Returns which of these messages still exist. These messages have no outcome, so only a missing row shows that another transaction
-- acknowledged the message.
-- $1 bigint[] messages. Locks: their rows, until the end of the transaction.
SELECT id FROM {schema}.message WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
