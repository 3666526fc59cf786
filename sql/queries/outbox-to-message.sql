-- Moves due messages from the outbox to their queues in one commit, and returns when the next one is due.
-- $1 int maximum number of messages · $2 text NOTIFY channel of messages. Locks: rows of outbox with SKIP LOCKED.
-- ARRAY (…) is evaluated once. PostgreSQL may evaluate IN (… LIMIT …) again for each row of a join, which would exceed the limit.
-- next_due_ms is 0 or less if a due row is left: the row is beyond the limit, or another relay holds it and may still fail.
WITH claimed AS MATERIALIZED (
  SELECT ARRAY (SELECT task_id FROM {schema}.outbox WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS ids
), due AS (
  DELETE FROM {schema}.outbox USING claimed WHERE task_id = ANY (claimed.ids)
  RETURNING queue, priority, task_id, task, headers, properties, body, due_at
), moved AS (
  INSERT INTO {schema}.message (queue, priority, task_id, task, headers, properties, body)
  SELECT queue, priority, task_id, task, headers, properties, body FROM due ORDER BY due_at RETURNING queue
), notified AS MATERIALIZED (
  SELECT pg_notify($2, queue) FROM (SELECT DISTINCT queue FROM moved) AS woken
), next AS (
  SELECT due_at FROM {schema}.outbox, claimed WHERE task_id <> ALL (claimed.ids) AND due_at < now() + interval '1 day' ORDER BY due_at LIMIT 1
)
SELECT (SELECT count(*)::int FROM moved) AS moved, (SELECT count(*)::int FROM notified) AS notified,
  (SELECT ceil(extract(epoch FROM due_at - now()) * 1000)::float8 FROM next) AS next_due_ms
