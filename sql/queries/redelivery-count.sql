-- For redelivered messages: returns which attempts are already stored, and counts the workers that died while they held the message. The
-- first redelivery counts as a death unless the former worker reports that it lives (redelivery-lost.sql), because nothing was written
-- about the first delivery. Later redeliveries count only if the worker that started the message no longer holds its lock. A requeue does
-- not count as a death.
-- $1 text[] task ids · $2 text key of the workers' locks
-- Returns recorded: the attempts up to this number (retries) are stored; the highest integer if the task ended; NULL if nothing is known.
-- The column worker is set while the worker that started the message is alive: its connection to this database may end a moment after its
-- connection to the broker.
-- Locks: rows of redelivery; for the length of the statement the lock of a dead worker.
WITH asked AS (
  SELECT a.id, CASE WHEN t.state IN ('SUCCESS', 'FAILURE', 'REVOKED') THEN 2147483647 WHEN t.state = 'RETRY' THEN t.retries
    WHEN t.state <> 'PENDING' THEN t.retries - 1 END AS recorded
  FROM (SELECT DISTINCT id FROM unnest($1::text[]) AS i (id)) AS a LEFT JOIN {schema}.task_result t ON t.id = a.id
), seen AS (
  INSERT INTO {schema}.redelivery AS r (task_id, deaths) SELECT id, 1 FROM asked WHERE recorded IS DISTINCT FROM 2147483647 ORDER BY id
  ON CONFLICT (task_id) DO UPDATE SET touched_at = now(), returns = greatest(r.returns - 1, 0),
    deaths = r.deaths + CASE WHEN r.returns > 0 THEN 0 WHEN r.worker IS NULL THEN (r.deaths = 0)::int
      WHEN NOT EXISTS (SELECT FROM {schema}.worker w WHERE w.id = r.worker) OR pg_try_advisory_xact_lock(hashtext($2), r.worker) THEN 1 ELSE 0 END,
    worker = CASE WHEN r.returns > 0 OR NOT EXISTS (SELECT FROM {schema}.worker w WHERE w.id = r.worker)
      OR pg_try_advisory_xact_lock(hashtext($2), r.worker) THEN NULL ELSE r.worker END
  RETURNING task_id, deaths, worker
)
SELECT a.id, a.recorded, coalesce(s.deaths, 0)::int AS deaths, s.worker FROM asked a LEFT JOIN seen s ON s.task_id = a.id
