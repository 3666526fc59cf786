-- Stores the progress of running tasks. A task that has ended keeps its last progress. One array element per task:
-- $1 text[] ids · $2 text[] tasks · $3 text[] queues · $4 int[] retries · $5 text[] progress, JSON · $6 text name of the worker
-- A locked row is about to get its outcome, from a transaction that locks rows in another order. To wait for it could be a deadlock, so
-- the row is skipped.
-- Locks: rows of task_result with SKIP LOCKED.
WITH reported AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[]) AS p (id, task, queue, retries, progress)
), free AS MATERIALIZED (
  SELECT id FROM {schema}.task_result WHERE id = ANY ($1::text[]) AND state IN ('PENDING', 'RECEIVED', 'STARTED', 'RETRY') FOR UPDATE SKIP LOCKED
), updated AS (
  UPDATE {schema}.task_result t SET progress = reported.progress FROM reported WHERE t.id = reported.id AND t.id IN (SELECT id FROM free)
)
INSERT INTO {schema}.task_result (id, task, state, queue, worker, retries, started_at, progress)
SELECT id, task, 'STARTED', queue, $6, retries, clock_timestamp(), progress FROM reported
WHERE NOT EXISTS (SELECT FROM {schema}.task_result t WHERE t.id = reported.id) ORDER BY id
ON CONFLICT (id) DO NOTHING
