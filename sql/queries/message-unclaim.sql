-- After a broken connection: makes the messages ready again that the server claimed for this worker, but whose claim the worker never
-- received.
-- $1 int worker · $2 bigint[] messages that the worker holds
UPDATE {schema}.message SET worker = NULL, started = false WHERE worker = $1 AND id <> ALL ($2::bigint[])
