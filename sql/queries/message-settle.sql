-- One turn of a worker: stores outcomes, acknowledges their messages, notifies waiting processes and claims the next messages, in one
-- commit. A result exists if and only if its message will not run again. A finished message is deleted even if another worker holds it
-- now, because its outcome is known.
--
--   parameter    type        meaning                                                    used by
--   $1           bigint[]    finished messages                                          acknowledged, quick
--   $2           int         worker                                                     me, claimed
--   $3           text        name of the worker                                         stored
--   $4..$9       text[]      outcomes: id, task, state, result, traceback, queue        stored
--   $10          int[]       outcomes: retries                                          stored
--   $11, $12     float8[]    outcomes: started, done (ms since the epoch)               stored
--   $13          text        NOTIFY channel of results                                  notified
--   $14          text        payload with the final outcomes; NULL: notify nobody       notified
--   $15          int         final outcomes in the payload                              notified
--   $16          text[]      queues, in the order in which they are claimed from        claimed
--   $17          int         messages to claim at most; 0: none                         me, claimed
--
-- src/database/settle-parameters.ts is the only place that counts the positions.
-- Locks: rows of message with SKIP LOCKED; this worker's row, so that no other worker removes it meanwhile; NOTIFY queue at commit.
-- For redelivered messages, recorded has the same meaning as in redelivery-count.sql.
-- The claim finds its rows by an array of ctid, a TID scan of rows that this statement has locked. It is twice as fast as a join by id
-- (docs/internals/queue-design.md, "The claim").
WITH acknowledged AS (
  DELETE FROM {schema}.message WHERE id = ANY ($1::bigint[])
), stored AS (
  INSERT INTO {schema}.task_result AS t (id, task, state, result, traceback, queue, worker, retries, started_at, done_at)
  SELECT o.id, o.task, o.state, o.result, o.traceback, o.queue, $3, o.retries, to_timestamp(o.started / 1000), to_timestamp(o.done / 1000)
  FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[], $11::float8[], $12::float8[])
    AS o (id, task, state, result, traceback, queue, retries, started, done)
  ON CONFLICT (id) DO UPDATE SET task = excluded.task, state = excluded.state, result = excluded.result, traceback = excluded.traceback,
    queue = excluded.queue, worker = excluded.worker, retries = excluded.retries, started_at = excluded.started_at, done_at = excluded.done_at
  WHERE t.state NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')
  RETURNING state
), notified AS MATERIALIZED (
  -- If another outcome was stored first, the payload would announce a wrong one. The payload is then empty, and the waiting processes
  -- query the table.
  SELECT pg_notify($13, CASE WHEN (SELECT count(*) FROM stored WHERE state IN ('SUCCESS', 'FAILURE', 'REVOKED')) = $15::int THEN $14 ELSE '' END)
  WHERE $14::text IS NOT NULL
), quick AS MATERIALIZED (
  -- A turn that only claims does not wait for the disk: if the server crashes and loses the claim, the messages are claimed again.
  SELECT set_config('synchronous_commit', 'off', true) WHERE cardinality($1::bigint[]) = 0 AND cardinality($4::text[]) = 0
), me AS (
  SELECT id FROM {schema}.worker WHERE id = $2 AND $17::int > 0 FOR KEY SHARE
), claimed AS (
  UPDATE {schema}.message SET worker = $2
  WHERE ctid = ANY (ARRAY(
    SELECT ready.ctid FROM me CROSS JOIN unnest($16::text[]) AS q (name) CROSS JOIN LATERAL (
      SELECT ctid FROM {schema}.message WHERE queue = q.name AND worker IS NULL ORDER BY priority DESC, id LIMIT $17 FOR UPDATE SKIP LOCKED
    ) AS ready LIMIT $17))
  RETURNING id, queue, priority, deaths, task_id, task, headers, properties, body
)
SELECT c.id, c.queue, c.priority, c.deaths, c.task_id, c.task, c.headers, c.properties, c.body,
  CASE WHEN c.deaths > 0 THEN (SELECT CASE WHEN r.state IN ('SUCCESS', 'FAILURE', 'REVOKED') THEN 2147483647 WHEN r.state = 'RETRY' THEN r.retries
    WHEN r.state <> 'PENDING' THEN r.retries - 1 END FROM {schema}.task_result r WHERE r.id = c.task_id) END AS recorded
FROM (SELECT count(*) FROM notified) AS t CROSS JOIN (SELECT count(*) FROM quick) AS k CROSS JOIN claimed AS c
ORDER BY c.priority DESC, c.id -- UPDATE … RETURNING returns rows in the order of its scan, not of the claim
