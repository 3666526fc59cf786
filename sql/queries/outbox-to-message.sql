-- Moves due rows of the outbox into the queue, in one commit, and says when the next one is due.
-- $1 int how many · $2 text NOTIFY channel of messages. Locks: rows of outbox with SKIP LOCKED.
WITH due AS (
  DELETE FROM outbox WHERE task_id IN (SELECT task_id FROM outbox WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
  RETURNING queue, priority, task_id, task, headers, properties, body, due_at
), moved AS (
  INSERT INTO message (queue, priority, task_id, task, headers, properties, body)
  SELECT queue, priority, task_id, task, headers, properties, body FROM due ORDER BY due_at RETURNING queue
), told AS MATERIALIZED (
  SELECT pg_notify($2, queue) FROM (SELECT DISTINCT queue FROM moved) AS woken
)
SELECT (SELECT count(*)::int FROM moved) AS moved, (SELECT count(*)::int FROM told) AS told,
  (SELECT ceil(extract(epoch FROM min(due_at) - now()) * 1000)::float8 FROM outbox WHERE due_at > now()) AS next_due_ms
