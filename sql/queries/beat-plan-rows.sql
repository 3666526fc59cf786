-- Returns schedules without a next tick, because they are new, changed or enabled again. $1 int limit · $2 uuid[] ids to leave out
SELECT id, name, task, kind, minute, hour, day_of_week, day_of_month, month_of_year, day_rule, timezone, every, period, anchor, clocked_time,
  one_off, start_time, expires, expire_seconds, catchup, catchup_limit, misfire_grace_seconds, next_run_at, next_run_at::text AS old, tzdata,
  version, now() AS db_now
FROM {schema}.schedule WHERE enabled AND next_run_at IS NULL AND NOT finished AND id <> ALL ($2::uuid[]) ORDER BY id LIMIT $1
