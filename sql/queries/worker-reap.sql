-- Dead workers: a lock that can be taken is held by nobody. Their messages are ready again, with this delivery counted.
-- $1 text key of the locks · $2 int worker that asks · $3 text NOTIFY channel
WITH dead AS (
  DELETE FROM worker WHERE id <> $2 AND pg_try_advisory_xact_lock(hashtext($1), id) RETURNING id, name
), back AS (
  UPDATE message SET worker = NULL WHERE worker IN (SELECT id FROM dead) RETURNING queue
), told AS MATERIALIZED (
  SELECT pg_notify($3, queue) FROM (SELECT DISTINCT queue FROM back) AS woken
)
SELECT (SELECT coalesce(array_agg(name), '{}') FROM dead) AS names, (SELECT count(*)::int FROM back) AS messages,
  (SELECT count(*)::int FROM told) AS told, (SELECT count(*)::int FROM worker w WHERE w.id <> $2 AND w.id NOT IN (SELECT id FROM dead)) AS peers
