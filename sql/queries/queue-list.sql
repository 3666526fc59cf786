-- Returns queues by name with their settings: queues with a setting, queues of workers and of messages in this database, and the queues in
-- $1. Does not read every ready message: each step jumps to the next queue in the index of ready messages.
-- $1 text[] other queues
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
