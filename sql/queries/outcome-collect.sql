-- Stores outcomes of tasks that other programs ran, such as Python workers, and notifies waiting processes, in one commit. The first final
-- outcome wins, as in outcome-store.sql. NULL leaves a column unchanged.
-- $1..$9 arrays, one element per outcome, each id once: id, task, state, result, traceback, queue, worker, started and done in ms since
-- the epoch · $10 text NOTIFY channel · $11 text payload; NULL: notify nobody · $12 int final outcomes in the payload
-- Locks: NOTIFY queue at commit.
WITH stored AS (
  INSERT INTO {schema}.task_result AS t (id, task, state, result, traceback, queue, worker, started_at, done_at)
  SELECT o.id, coalesce(o.task, '(unknown)'), o.state, o.result, o.traceback, o.queue, o.worker,
    to_timestamp(o.started / 1000), to_timestamp(o.done / 1000)
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[], $9::float8[])
    AS o (id, task, state, result, traceback, queue, worker, started, done)
  ON CONFLICT (id) DO UPDATE SET task = CASE excluded.task WHEN '(unknown)' THEN t.task ELSE excluded.task END,
    state = excluded.state, result = excluded.result, traceback = excluded.traceback,
    queue = coalesce(excluded.queue, t.queue), worker = coalesce(excluded.worker, t.worker),
    started_at = coalesce(excluded.started_at, t.started_at), done_at = excluded.done_at
  WHERE t.state NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')
  RETURNING state
), notified AS MATERIALIZED (
  -- If another outcome was stored first, the payload would announce a wrong one. The payload is then empty, and the waiting processes
  -- query the table.
  SELECT pg_notify($10, CASE WHEN (SELECT count(*) FROM stored WHERE state IN ('SUCCESS', 'FAILURE', 'REVOKED')) = $12::int THEN $11 ELSE '' END)
  WHERE $11::text IS NOT NULL
)
SELECT count(*)::int AS notified FROM notified
