-- Returns one page of schedules, ordered by name. $1 text: only names after this one · $2 integer limit
SELECT id, name, description, task, args, kwargs, queue, origin, kind, minute, hour, day_of_week, day_of_month, month_of_year, day_rule, timezone,
  every, period, anchor, clocked_time, enabled, finished, next_run_at, last_run_at, last_task_id, total_run_count, last_error, date_changed
FROM {schema}.schedule WHERE name > $1 ORDER BY name LIMIT $2
