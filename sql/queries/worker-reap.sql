-- Deletes the rows of dead workers. A worker is dead if its session lock can be taken. worker-requeue.sql follows in the same transaction,
-- as a second statement. The deletion waits for a claim of the dead worker that the server still executes (FOR KEY SHARE in
-- message-settle.sql), and only a snapshot taken after that wait contains the claimed messages. A server that has just started holds no
-- locks yet, so for 3 seconds no worker is declared dead.
-- $1 text key of the locks · $2 int worker that runs this statement
WITH dead AS (
  DELETE FROM {schema}.worker WHERE id <> $2
    AND pg_postmaster_start_time() < now() - interval '3 seconds' AND pg_try_advisory_xact_lock(hashtext($1), id)
  RETURNING id, name
)
SELECT (SELECT coalesce(array_agg(name), '{}') FROM dead) AS names, (SELECT coalesce(array_agg(id), '{}') FROM dead) AS ids,
  (SELECT count(*)::int FROM {schema}.worker w WHERE w.id <> $2 AND w.id NOT IN (SELECT id FROM dead)) AS peers
