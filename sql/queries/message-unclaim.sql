-- After a broken connection: makes messages ready that the server gave to this worker in an answer that never arrived.
-- $1 int worker · $2 bigint[] messages that the worker holds
UPDATE {schema}.message SET worker = NULL, started = false WHERE worker = $1 AND id <> ALL ($2::bigint[])
