-- Seeds the schedules that onedyno creates by itself (origin 'code'), as intervals: inserts missing seeds, updates seeds that differ, and
-- deletes seeds that the code no longer has. Their history and the column enabled do not change. The anchor is the database's time, so
-- that a host whose clock is ahead does not delay the first tick.
-- $1 jsonb array of {name, description, task, every, period, catchup}. Locks: rows that differ, with SKIP LOCKED, so that the start of a
-- beat never waits.
WITH seed AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS x (name text, description text, task text, every integer, period text, catchup text)
), different AS (
  SELECT s.id, seed.* FROM {schema}.schedule s JOIN seed ON seed.name = s.name
  WHERE s.origin = 'code' AND (s.kind, s.every, s.period, s.task, s.description, s.catchup)
    IS DISTINCT FROM ('interval', seed.every, seed.period, seed.task, seed.description, seed.catchup)
  FOR UPDATE OF s SKIP LOCKED
), obsolete AS (
  SELECT id FROM {schema}.schedule WHERE origin = 'code' AND NOT EXISTS (SELECT FROM seed WHERE seed.name = schedule.name) FOR UPDATE SKIP LOCKED
), changed AS (
  UPDATE {schema}.schedule s SET kind = 'interval', every = d.every, period = d.period, anchor = coalesce(s.anchor, date_trunc('milliseconds', now())),
    task = d.task, description = d.description, catchup = d.catchup
  FROM different d WHERE s.id = d.id
), deleted AS (
  DELETE FROM {schema}.schedule s USING obsolete WHERE s.id = obsolete.id
)
INSERT INTO {schema}.schedule (name, description, task, kind, every, period, anchor, catchup, origin)
SELECT name, description, task, 'interval', every, period, date_trunc('milliseconds', now()), catchup, 'code' FROM seed
WHERE NOT EXISTS (SELECT FROM {schema}.schedule s WHERE s.name = seed.name)
ON CONFLICT ON CONSTRAINT schedule_name DO NOTHING
