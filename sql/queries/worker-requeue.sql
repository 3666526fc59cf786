-- What workers held is ready again, once their rows are gone. A death counts the first time against all that the worker held, because
-- nothing was written about which of them ran; later only against those that did run (message-begin.sql), so that a message claimed ahead
-- is not blamed for its neighbours.
-- $1 int[] workers · $2 int 1 when they died, 0 when they left · $3 text NOTIFY channel
WITH back AS (
  UPDATE {schema}.message SET worker = NULL, started = false, deaths = deaths + CASE WHEN deaths = 0 OR started THEN $2::int ELSE 0 END
  WHERE worker = ANY ($1::int[]) RETURNING queue
), told AS MATERIALIZED (
  SELECT pg_notify($3, queue) FROM (SELECT DISTINCT queue FROM back) AS woken
)
SELECT (SELECT count(*)::int FROM back) AS messages, (SELECT count(*)::int FROM told) AS told
