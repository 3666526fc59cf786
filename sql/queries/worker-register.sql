-- Inserts a worker. Takes its session lock before the row exists, so that no other worker finds the row without the lock.
-- $1 text key of the locks · $2 text name · $3 text[] queues · $4 int concurrency
WITH number AS MATERIALIZED (
  SELECT nextval(pg_get_serial_sequence('{schema}.worker', 'id'))::int AS id
), held AS MATERIALIZED (
  SELECT id, pg_advisory_lock(hashtext($1), id) FROM number
)
INSERT INTO {schema}.worker (id, name, queues, concurrency) OVERRIDING SYSTEM VALUE SELECT id, $2, $3, $4 FROM held RETURNING id
