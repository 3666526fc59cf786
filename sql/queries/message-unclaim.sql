-- After a broken connection: messages that the server gave to this worker but whose answer never arrived are ready again.
-- $1 int worker · $2 bigint[] messages that the worker does hold
UPDATE {schema}.message SET worker = NULL, started = false WHERE worker = $1 AND id <> ALL ($2::bigint[])
