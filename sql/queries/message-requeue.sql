-- Makes messages of this worker ready again at once and wakes the workers of their queues.
-- $1 bigint[] messages · $2 int[] 1 if this delivery counts as a death, else 0 · $3 int worker · $4 text NOTIFY channel
WITH back AS (
  UPDATE {schema}.message m SET worker = NULL, started = false, deaths = m.deaths + g.counted
  FROM unnest($1::bigint[], $2::int[]) AS g (id, counted) WHERE m.id = g.id AND m.worker = $3
  RETURNING m.queue
)
SELECT pg_notify($4, queue) FROM (SELECT DISTINCT queue FROM back) AS woken
