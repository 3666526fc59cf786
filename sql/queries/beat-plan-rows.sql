-- Schedules that are new, changed or enabled again, and so have no next tick yet. $1 int how many
SELECT *, now() AS db_now FROM schedule WHERE enabled AND next_run_at IS NULL AND NOT finished ORDER BY id LIMIT $1
