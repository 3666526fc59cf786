-- Dead workers: a lock that can be taken is held by nobody. Their messages are ready again. The first death counts against all that the
-- worker held, because nothing was written about which of them ran; later ones only against those that did run (message-begin.sql), so that
-- a message claimed ahead is not blamed for its neighbours.
-- $1 text key of the locks · $2 int worker that asks · $3 text NOTIFY channel
WITH dead AS (
  DELETE FROM worker WHERE id <> $2 AND pg_try_advisory_xact_lock(hashtext($1), id) RETURNING id, name
), back AS (
  UPDATE message SET worker = NULL, started = false, deaths = deaths + CASE WHEN deaths = 0 OR started THEN 1 ELSE 0 END
  WHERE worker IN (SELECT id FROM dead) RETURNING queue
), told AS MATERIALIZED (
  SELECT pg_notify($3, queue) FROM (SELECT DISTINCT queue FROM back) AS woken
)
SELECT (SELECT coalesce(array_agg(name), '{}') FROM dead) AS names, (SELECT count(*)::int FROM back) AS messages,
  (SELECT count(*)::int FROM told) AS told, (SELECT count(*)::int FROM worker w WHERE w.id <> $2 AND w.id NOT IN (SELECT id FROM dead)) AS peers
