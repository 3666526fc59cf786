-- How far tasks are that run. One array element per task: $1 text[] ids · $2 text[] tasks · $3 text[] queues · $4 int[] retries
-- $5 text[] progress (JSON) · $6 text name of the worker. A task that has ended, or is told to end, keeps what it has.
INSERT INTO task_result AS t (id, task, state, queue, worker, retries, started_at, progress)
SELECT id, task, 'STARTED', queue, $6, retries, clock_timestamp(), progress
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[]) AS p (id, task, queue, retries, progress)
ON CONFLICT (id) DO UPDATE SET progress = excluded.progress WHERE t.state IN ('PENDING', 'RECEIVED', 'STARTED', 'RETRY')
