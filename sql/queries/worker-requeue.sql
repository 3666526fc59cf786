-- Makes the messages of removed workers ready again. The first death counts against every message that the worker held, because nothing
-- was written about which of them ran. Later deaths count only against messages that had started (message-begin.sql), so that a death
-- caused by another message does not count against a prefetched message.
-- $1 int[] workers · $2 int 1 if they died, 0 if they signed off · $3 text NOTIFY channel
WITH back AS (
  UPDATE {schema}.message SET worker = NULL, started = false, deaths = deaths + CASE WHEN deaths = 0 OR started THEN $2::int ELSE 0 END
  WHERE worker = ANY ($1::int[]) RETURNING queue
), notified AS MATERIALIZED (
  SELECT pg_notify($3, queue) FROM (SELECT DISTINCT queue FROM back) AS woken
)
SELECT (SELECT count(*)::int FROM back) AS messages, (SELECT count(*)::int FROM notified) AS notified
