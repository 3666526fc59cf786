-- Advances due schedules, writes the history of their ticks and puts the messages into the outbox: one statement, one commit, so a tick
-- is either done with all that belongs to it or not at all. Any number of beats may run: whoever commits first has the tick.
-- $1 jsonb array of {id, old, version, next, last, last_task, finished, runs: [{tick, reason, task_id, outcome, missed, headers, body, due_at}]}
-- $2 text host · $3 text tzdata version of this process · $4 text NOTIFY channel of the outbox
-- Locks: rows of schedule with SKIP LOCKED; a row that another beat holds is left to it. old has milliseconds, the column may have more.
WITH d AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb)
    AS x (id uuid, old timestamptz, version bigint, next timestamptz, last timestamptz, last_task text, finished boolean, runs jsonb)
), locked AS (
  SELECT s.id, s.name, s.task, s.queue, s.priority, d.runs
  FROM schedule s JOIN d ON d.id = s.id AND d.version = s.version AND d.old = date_trunc('milliseconds', s.next_run_at)
  WHERE s.enabled ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
), ran AS (
  INSERT INTO schedule_run (schedule_id, tick, reason, task_id, outcome, missed, schedule_name, task, host)
  SELECT l.id, x.tick, x.reason, x.task_id, x.outcome, x.missed, l.name, l.task, $2
  FROM locked l, jsonb_to_recordset(l.runs) AS x (tick timestamptz, reason text, task_id text, outcome text, missed integer)
  ON CONFLICT DO NOTHING
  RETURNING schedule_id, tick, task_id, outcome
), sent AS (
  INSERT INTO outbox (task_id, queue, priority, task, headers, body, due_at)
  SELECT r.task_id, coalesce(l.queue, 'celery'), coalesce(l.priority, 0), l.task, x.headers, x.body, x.due_at
  FROM ran r JOIN locked l ON l.id = r.schedule_id,
    LATERAL jsonb_to_recordset(l.runs) AS x (task_id text, headers text, body text, due_at timestamptz)
  WHERE r.outcome = 'queued' AND x.task_id = r.task_id
  ON CONFLICT (task_id) DO NOTHING RETURNING task_id
), advanced AS (
  UPDATE schedule s SET next_run_at = d.next, finished = d.finished, last_run_at = coalesce(d.last, s.last_run_at),
    last_task_id = coalesce(d.last_task, s.last_task_id), tzdata = $3, last_error = NULL,
    total_run_count = s.total_run_count + (SELECT count(*) FROM ran r WHERE r.schedule_id = s.id AND r.outcome = 'queued')
  FROM d JOIN locked USING (id) WHERE s.id = d.id RETURNING s.id
), told AS MATERIALIZED (
  SELECT pg_notify($4, '') FROM (SELECT 1 FROM sent LIMIT 1) AS any_sent
)
SELECT (SELECT count(*)::int FROM advanced) AS claimed, (SELECT count(*)::int FROM sent) AS queued, (SELECT count(*)::int FROM told) AS told
