-- Moves due rows of the outbox into the queue, in one commit, and says when the next one is due.
-- $1 int how many · $2 text NOTIFY channel of messages. Locks: rows of outbox with SKIP LOCKED.
-- ARRAY (…) is evaluated once; IN (… LIMIT …) may be evaluated again for every row of a join, and would then take more than the limit.
-- next_due_ms is 0 or less when a due row was left, because it is beyond the limit or another relay holds it, which may yet fail.
WITH claimed AS MATERIALIZED (
  SELECT ARRAY (SELECT task_id FROM {schema}.outbox WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS ids
), due AS (
  DELETE FROM {schema}.outbox USING claimed WHERE task_id = ANY (claimed.ids)
  RETURNING queue, priority, task_id, task, headers, properties, body, due_at
), moved AS (
  INSERT INTO {schema}.message (queue, priority, task_id, task, headers, properties, body)
  SELECT queue, priority, task_id, task, headers, properties, body FROM due ORDER BY due_at RETURNING queue
), told AS MATERIALIZED (
  SELECT pg_notify($2, queue) FROM (SELECT DISTINCT queue FROM moved) AS woken
), next AS (
  SELECT due_at FROM {schema}.outbox, claimed WHERE task_id <> ALL (claimed.ids) AND due_at < now() + interval '1 day' ORDER BY due_at LIMIT 1
)
SELECT (SELECT count(*)::int FROM moved) AS moved, (SELECT count(*)::int FROM told) AS told,
  (SELECT ceil(extract(epoch FROM due_at - now()) * 1000)::float8 FROM next) AS next_due_ms
