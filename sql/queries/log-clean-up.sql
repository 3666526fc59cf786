-- Deletes log lines older than $1 seconds whose task has no result. $1 float8 seconds · $2 int maximum number of lines. Locks: the rows.
WITH gone AS (
  DELETE FROM {schema}.task_log WHERE ctid = ANY (ARRAY (
    SELECT l.ctid FROM {schema}.task_log l WHERE l.at < now() - make_interval(secs => $1)
      AND (SELECT 1 FROM {schema}.task_result r WHERE r.id = l.task_id LIMIT 1) IS NULL LIMIT $2 -- a lookup for each row, not a join: see result-clean-up.sql
  )) RETURNING 1
)
SELECT count(*)::int AS deleted FROM gone
