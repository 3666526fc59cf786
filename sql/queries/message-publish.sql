-- Inserts messages and wakes the workers of each queue once, in the same commit. One array element per message:
-- $1 text[] queues · $2 int[] priorities · $3 text[] task ids · $4 text[] tasks · $5 text[] headers, JSON or NULL · $6 text[] properties, JSON
-- or NULL · $7 text[] bodies · $8 text NOTIFY channel, the payload is the queue. Locks: only the NOTIFY queue at commit.
WITH added AS (
  INSERT INTO {schema}.message (queue, priority, task_id, task, headers, properties, body)
  SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
  RETURNING queue
)
SELECT pg_notify($8, queue) FROM (SELECT DISTINCT queue FROM added) AS woken
