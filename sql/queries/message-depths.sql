-- $1 text[] queues. Exact, by counting: the table holds only what is ready or running.
SELECT q.name AS queue, count(m.id) FILTER (WHERE m.worker IS NULL)::int AS ready, count(m.id) FILTER (WHERE m.worker IS NOT NULL)::int AS running
FROM unnest($1::text[]) AS q (name) LEFT JOIN {schema}.message m ON m.queue = q.name GROUP BY q.name
