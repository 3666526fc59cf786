-- Deletes results that ended more than $1 seconds ago, and what was sent as long ago, never ended and waits nowhere; at most $2 of each.
WITH old AS (
  (SELECT ctid FROM task_result WHERE done_at < now() - make_interval(secs => $1) LIMIT $2)
  UNION ALL
  (SELECT r.ctid FROM task_result r WHERE r.done_at IS NULL AND r.created_at < now() - make_interval(secs => $1)
     AND NOT EXISTS (SELECT FROM outbox o WHERE o.task_id = r.id) AND NOT EXISTS (SELECT FROM message m WHERE m.task_id = r.id) LIMIT $2)
), forgotten AS (
  DELETE FROM redelivery WHERE touched_at < now() - make_interval(secs => greatest($1, 604800)) -- their messages vanished from the broker
), gone AS (
  DELETE FROM task_result WHERE ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING 1
)
SELECT count(*)::int AS deleted FROM gone
