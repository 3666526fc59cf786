-- Lets beat plan suspended schedules again. Runs when a beat starts, because the new beat can have a time zone that the old one lacked.
WITH locked AS (
  SELECT id FROM {schema}.schedule WHERE enabled AND finished AND last_error IS NOT NULL ORDER BY id FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.schedule s SET finished = false FROM locked WHERE s.id = locked.id AND s.next_run_at IS NULL
