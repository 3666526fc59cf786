-- Moves dead letters to the outbox, due now, and resets their outcomes and their counted deaths. A dead letter without a task id stays,
-- because its outcome could not be stored. Two dead letters with the same task id become one message. A row of the outbox with the same id
-- is replaced: the relay may have published that row without having deleted it yet. If it were not replaced, the relay's DELETE would lose
-- the message.
-- $1 bigint[] ids of rows; NULL: every row · $2 text NOTIFY channel of the outbox. Locks: rows of dead_letter, outbox, task_result,
-- redelivery.
WITH taken AS (
  DELETE FROM {schema}.dead_letter WHERE ($1::bigint[] IS NULL OR id = ANY ($1::bigint[])) AND task_id <> '' AND task IS NOT NULL AND body IS NOT NULL
  RETURNING id, queue, priority, task_id, task, headers, properties, body
), last AS (
  SELECT DISTINCT ON (task_id) * FROM taken ORDER BY task_id, id DESC
), sent AS (
  INSERT INTO {schema}.outbox (task_id, queue, priority, task, headers, properties, body, due_at)
  SELECT task_id, queue, priority, task, headers, properties, body, now() FROM last
  ON CONFLICT (task_id) DO UPDATE SET queue = excluded.queue, priority = excluded.priority, task = excluded.task, headers = excluded.headers,
    properties = excluded.properties, body = excluded.body, due_at = excluded.due_at RETURNING task_id
), pending AS (
  UPDATE {schema}.task_result t SET state = 'PENDING', result = NULL, traceback = NULL, started_at = NULL, done_at = NULL, worker = NULL, next_at = NULL
  FROM last WHERE t.id = last.task_id
), unblamed AS (
  DELETE FROM {schema}.redelivery r USING last WHERE r.task_id = last.task_id
), notified AS MATERIALIZED (
  SELECT pg_notify($2, '') FROM (SELECT 1 FROM sent LIMIT 1) AS any_sent
)
SELECT (SELECT array_agg(task_id) FROM sent) AS ids, (SELECT array_agg(body) FROM last) AS bodies, (SELECT count(*)::int FROM notified) AS notified
