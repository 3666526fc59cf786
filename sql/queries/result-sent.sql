-- Stores tasks that the console sends, so that their ids are known. If a result is already stored, it stays and only gets its arguments.
-- $1 text[] ids · $2 text[] tasks · $3 text[] queues · $4 text[] args, JSON [args, kwargs]
INSERT INTO {schema}.task_result AS t (id, task, state, queue, args)
SELECT s.id, s.task, 'PENDING', s.queue, s.args FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS s (id, task, queue, args)
ON CONFLICT (id) DO UPDATE SET args = excluded.args WHERE t.args IS NULL
