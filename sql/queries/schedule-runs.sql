-- Returns the runs of one schedule with the state of their tasks, newest first.
-- $1 uuid · $2 timestamptz: only ticks before this time; NULL: every tick · $3 integer limit
SELECT r.tick, r.reason, r.outcome, r.missed, r.task, r.task_id, r.decided_at, t.state, t.started_at, t.done_at
FROM {schema}.schedule_run r LEFT JOIN {schema}.task_result t ON t.id = r.task_id
WHERE r.schedule_id = $1 AND ($2::timestamptz IS NULL OR r.tick < $2) ORDER BY r.tick DESC LIMIT $3
