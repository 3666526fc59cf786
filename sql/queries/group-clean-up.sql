-- Deletes groups that were saved more than $1 seconds ago. $1 float8 seconds · $2 int maximum number of groups. Locks: the rows.
WITH gone AS (
  DELETE FROM {schema}.task_group WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM {schema}.task_group WHERE created_at < now() - make_interval(secs => $1) LIMIT $2
  )) RETURNING 1
)
SELECT count(*)::int AS deleted FROM gone
