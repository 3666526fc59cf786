-- Writes a message that a worker holds to the outbox. A row with the same id is replaced: the relay may have published that row without
-- having deleted it yet. If it were not replaced, the relay's DELETE would lose this message. The statement waits until the relay has
-- released the row.
-- $1 text task id · $2 text queue · $3 int priority · $4 text task · $5 text headers · $6 text properties · $7 text body · $8 float8 seconds
-- from now by the server's clock · $9 text NOTIFY channel. Locks: the row.
WITH kept AS (
  INSERT INTO {schema}.outbox (task_id, queue, priority, task, headers, properties, body, due_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::float8 * interval '1 second')
  ON CONFLICT (task_id) DO UPDATE SET queue = excluded.queue, priority = excluded.priority, task = excluded.task, headers = excluded.headers,
    properties = excluded.properties, body = excluded.body, due_at = excluded.due_at
  RETURNING 1
)
SELECT pg_notify($9, '') FROM kept
