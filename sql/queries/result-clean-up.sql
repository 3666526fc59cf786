-- Deletes results that ended more than $1 seconds ago, results whose own time to live is over, and tasks that were sent $1 seconds ago,
-- never ended and are in no queue. Does not delete results that the body of an open chord will receive.
-- $1 float8 seconds · $2 int maximum number of rows of each kind. Locks: the rows.
-- (SELECT 1 … LIMIT 1) IS NULL is a lookup for each row. PostgreSQL would turn NOT EXISTS into a join, which may read the primary key of
-- all results.
WITH old AS (
  (SELECT r.ctid FROM {schema}.task_result r WHERE r.done_at < now() - make_interval(secs => $1) AND r.expires_at IS NULL
     AND (SELECT 1 FROM {schema}.chord_member m WHERE m.task_id = r.id LIMIT 1) IS NULL LIMIT $2)
  UNION ALL
  (SELECT r.ctid FROM {schema}.task_result r WHERE r.expires_at < now()
     AND (SELECT 1 FROM {schema}.chord_member m WHERE m.task_id = r.id LIMIT 1) IS NULL LIMIT $2)
  UNION ALL
  (SELECT r.ctid FROM {schema}.task_result r WHERE r.done_at IS NULL AND r.expires_at IS NULL AND r.created_at < now() - make_interval(secs => $1)
     AND NOT EXISTS (SELECT FROM {schema}.outbox o WHERE o.task_id = r.id)
     AND NOT EXISTS (SELECT FROM {schema}.message m WHERE m.task_id = r.id) LIMIT $2)
), gone AS (
  DELETE FROM {schema}.task_result WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT count(*)::int AS deleted FROM gone
