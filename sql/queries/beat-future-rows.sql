-- Returns one page of the schedules whose next tick is in the future, ordered by id. $1 uuid: only ids after this one · $2 int limit
SELECT id, name, task, kind, minute, hour, day_of_week, day_of_month, month_of_year, day_rule, timezone, every, period, anchor, clocked_time,
  one_off, start_time, expires, expire_seconds, catchup, catchup_limit, misfire_grace_seconds, next_run_at, next_run_at::text AS old, tzdata,
  version, now() AS db_now
FROM {schema}.schedule WHERE enabled AND next_run_at > now() AND id > $1 ORDER BY id LIMIT $2
