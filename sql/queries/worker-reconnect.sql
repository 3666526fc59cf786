-- A worker whose connection broke takes its lock again, if nobody declared it dead meanwhile. $1 text key of the locks · $2 int worker
SELECT id FROM {schema}.worker WHERE id = $2 AND pg_try_advisory_lock(hashtext($1), id)
