-- Schedules whose tick has come. now() and not clock_timestamp(), so that the index serves. $1 int how many
SELECT *, now() AS db_now FROM schedule WHERE enabled AND next_run_at <= now() ORDER BY next_run_at LIMIT $1
