-- Returns the queued runs of a schedule whose tasks have not ended, newest first. $1 text name of the schedule · $2 int limit
SELECT r.task_id AS id FROM {schema}.schedule_run r
WHERE r.schedule_id = (SELECT id FROM {schema}.schedule WHERE name = $1) AND r.outcome = 'queued'
  AND NOT EXISTS (SELECT FROM {schema}.task_result t WHERE t.id = r.task_id AND t.done_at IS NOT NULL)
ORDER BY r.tick DESC LIMIT $2
