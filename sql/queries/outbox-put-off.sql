-- Delays the due messages of queues that the broker refuses at present. They keep their order and do not block messages of other queues.
-- One array element per queue:
-- $1 text[] queues · $2 float8[] milliseconds from now. Locks: rows of outbox with SKIP LOCKED.
WITH due AS MATERIALIZED (
  SELECT task_id, due_at, ms FROM {schema}.outbox JOIN unnest($1::text[], $2::float8[]) AS refused (name, ms) ON name = queue
  WHERE due_at <= now() FOR UPDATE OF outbox SKIP LOCKED
)
UPDATE {schema}.outbox SET due_at = now() + later.ms * interval '1 millisecond' + later.place * interval '1 microsecond'
FROM (SELECT task_id, ms, row_number() OVER (ORDER BY due_at) AS place FROM due) AS later WHERE outbox.task_id = later.task_id
