-- Stores outcomes of messages that another broker holds and notifies waiting processes, in one commit. The caller acknowledges the
-- messages afterwards.
-- $1 text name of the worker · $2..$10 arrays, one element per outcome: id, task, state, result, traceback, queue, retries, started and
-- done in ms since the epoch · $11 text NOTIFY channel · $12 text payload; NULL: notify nobody · $13 int final outcomes in the payload
-- $14 text[] ids of redelivered messages, whose history is deleted. Locks: NOTIFY queue at commit.
WITH stored AS (
  INSERT INTO {schema}.task_result AS t (id, task, state, result, traceback, queue, worker, retries, started_at, done_at)
  SELECT o.id, o.task, o.state, o.result, o.traceback, o.queue, $1, o.retries, to_timestamp(o.started / 1000), to_timestamp(o.done / 1000)
  FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::float8[], $10::float8[])
    AS o (id, task, state, result, traceback, queue, retries, started, done)
  ON CONFLICT (id) DO UPDATE SET task = excluded.task, state = excluded.state, result = excluded.result, traceback = excluded.traceback,
    queue = excluded.queue, worker = excluded.worker, retries = excluded.retries, started_at = excluded.started_at, done_at = excluded.done_at
  WHERE t.state NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')
  RETURNING state
), forgotten AS (
  DELETE FROM {schema}.redelivery WHERE task_id = ANY ($14::text[])
), notified AS MATERIALIZED (
  -- If another outcome was stored first, the payload would announce a wrong one. The payload is then empty, and the waiting processes
  -- query the table.
  SELECT pg_notify($11, CASE WHEN (SELECT count(*) FROM stored WHERE state IN ('SUCCESS', 'FAILURE', 'REVOKED')) = $13::int THEN $12 ELSE '' END)
  WHERE $12::text IS NOT NULL
)
SELECT count(*)::int AS notified FROM notified
