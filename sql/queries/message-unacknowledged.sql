-- Messages without an outcome are about to be acknowledged: which of them has nobody acknowledged yet? $1 bigint[] messages
-- Locks: their rows, until the end of the transaction.
SELECT id FROM {schema}.message WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
