-- What is known by now of messages that were looked at a moment ago: the worker that had them may have said that it lives, or have finished.
-- $1 text[] task ids
SELECT a.id, EXISTS (SELECT FROM task_result t WHERE t.id = a.id AND t.state IN ('SUCCESS', 'FAILURE', 'REVOKED')) AS done,
  coalesce(r.deaths, 0)::int AS deaths, r.worker
FROM unnest($1::text[]) AS a (id) LEFT JOIN redelivery r ON r.task_id = a.id
