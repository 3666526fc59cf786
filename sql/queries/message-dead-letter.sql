-- Keeps messages aside that no worker can run. $1 bigint[] messages · $2 text[] reasons
WITH gone AS (
  DELETE FROM message m USING unnest($1::bigint[], $2::text[]) AS d (id, reason) WHERE m.id = d.id
  RETURNING m.queue, d.reason, m.task_id, m.task, m.priority, m.headers, m.properties, m.body
)
INSERT INTO dead_letter (queue, reason, task_id, task, priority, headers, properties, body) SELECT * FROM gone
