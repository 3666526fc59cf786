-- A worker ends: its row goes; whatever it still held is ready again, uncounted. $1 int worker · $2 text NOTIFY channel
WITH gone AS (
  DELETE FROM worker WHERE id = $1
), back AS (
  UPDATE message SET worker = NULL, started = false WHERE worker = $1 RETURNING queue
)
SELECT pg_notify($2, queue) FROM (SELECT DISTINCT queue FROM back) AS woken
