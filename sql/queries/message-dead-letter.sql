-- Moves messages that no worker can run to the dead letters. $1 bigint[] messages · $2 text[] reasons
WITH gone AS (
  DELETE FROM {schema}.message m USING unnest($1::bigint[], $2::text[]) AS d (id, reason) WHERE m.id = d.id
  RETURNING m.queue, d.reason, m.task_id, m.task, m.priority, m.headers, m.properties, m.body
)
INSERT INTO {schema}.dead_letter (queue, reason, task_id, task, priority, headers, properties, body) SELECT * FROM gone
