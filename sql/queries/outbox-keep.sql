-- Writes one message to the outbox. A row whose id already exists stays unchanged.
-- $1 text task id · $2 text queue · $3 int priority · $4 text task · $5 text headers · $6 text properties · $7 text body · $8 float8 due, ms
-- since the epoch; NULL: now by the server's clock · $9 text NOTIFY channel
WITH kept AS (
  INSERT INTO {schema}.outbox (task_id, queue, priority, task, headers, properties, body, due_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce(timestamptz 'epoch' + $8::float8 * interval '1 millisecond', now()))
  ON CONFLICT (task_id) DO NOTHING RETURNING 1
)
SELECT pg_notify($9, '') FROM kept
