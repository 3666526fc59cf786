-- Queues by name, with their settings: those that have any, those of workers and of messages in this database, and $1 text[] others.
-- The messages that are ready are not read: each step jumps to the next queue of their index.
WITH RECURSIVE ready AS (
  (SELECT queue FROM {schema}.message WHERE worker IS NULL ORDER BY queue LIMIT 1)
  UNION ALL
  SELECT (SELECT queue FROM {schema}.message WHERE worker IS NULL AND queue > ready.queue ORDER BY queue LIMIT 1) FROM ready WHERE queue IS NOT NULL
), known AS (
  SELECT queue AS name FROM ready WHERE queue IS NOT NULL
  UNION SELECT unnest(queues) FROM {schema}.worker
  UNION SELECT name FROM {schema}.queue_setting
  UNION SELECT unnest($1::text[])
)
SELECT name, coalesce(paused, false) AS paused, concurrency FROM known LEFT JOIN {schema}.queue_setting USING (name) ORDER BY name
