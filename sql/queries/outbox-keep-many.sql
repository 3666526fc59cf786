-- Writes messages to the outbox. A row whose id already exists stays unchanged. clock_timestamp() advances from row to row, so messages
-- that are due now keep their order. One array element per message:
-- $1 text[] task ids · $2 text[] queues · $3 int[] priorities · $4 text[] tasks · $5 text[] headers, JSON or NULL · $6 text[] properties,
-- JSON or NULL · $7 text[] bodies · $8 float8[] due, ms since the epoch; NULL: counted from now by $9 · $9 float8[] seconds from now by
-- the server's clock · $10 text NOTIFY channel
WITH kept AS (
  INSERT INTO {schema}.outbox (task_id, queue, priority, task, headers, properties, body, due_at)
  SELECT task_id, queue, priority, task, headers, properties, body,
    coalesce(timestamptz 'epoch' + due_ms * interval '1 millisecond', clock_timestamp() + after_seconds * interval '1 second')
  FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[], $9::float8[])
    AS given (task_id, queue, priority, task, headers, properties, body, due_ms, after_seconds)
  ON CONFLICT (task_id) DO NOTHING RETURNING 1
)
SELECT pg_notify($10, '') FROM (SELECT FROM kept LIMIT 1) AS any_kept
