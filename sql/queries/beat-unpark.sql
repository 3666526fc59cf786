-- Schedules that rest because of an error are looked at again when a beat starts: it may know a time zone that its predecessor did not.
WITH held AS (
  SELECT id FROM {schema}.schedule WHERE enabled AND finished AND last_error IS NOT NULL ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.schedule s SET finished = false FROM held WHERE s.id = held.id AND s.next_run_at IS NULL
