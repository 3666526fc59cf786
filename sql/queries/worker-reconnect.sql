-- Takes the lock of a worker again after its connection broke. Returns no row if the worker was declared dead.
-- $1 text key of the locks · $2 int worker
SELECT id FROM {schema}.worker WHERE id = $2 AND pg_try_advisory_lock(hashtext($1), id)
