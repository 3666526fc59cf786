-- Writes messages to the outbox. A row with the same id is replaced, because it belongs to an older attempt. Messages that are due now
-- keep their order. One array element per message:
-- $1 text[] queues · $2 int[] priorities · $3 text[] task ids, each once · $4 text[] tasks · $5 text[] headers, JSON or NULL · $6 text[]
-- properties, JSON or NULL · $7 text[] bodies · $8 float8[] due, ms since the epoch; NULL: now by the server's clock · $9 text NOTIFY
-- channel. Locks: rows of outbox in the order of their ids.
WITH kept AS (
  INSERT INTO {schema}.outbox (queue, priority, task_id, task, headers, properties, body, due_at)
  SELECT queue, priority, task_id, task, headers, properties, body,
    coalesce(timestamptz 'epoch' + due * interval '1 millisecond', now() + at * interval '1 microsecond')
  FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[])
    WITH ORDINALITY AS m (queue, priority, task_id, task, headers, properties, body, due, at) ORDER BY task_id
  ON CONFLICT (task_id) DO UPDATE SET queue = excluded.queue, priority = excluded.priority, task = excluded.task, headers = excluded.headers,
    properties = excluded.properties, body = excluded.body, due_at = excluded.due_at, created_at = excluded.created_at
  RETURNING 1
)
SELECT pg_notify($9, '') FROM (SELECT FROM kept LIMIT 1) AS something
