-- Counts ready and running messages of queues. The counts are exact, because the table holds only such messages. $1 text[] queues
SELECT q.name AS queue, count(m.id) FILTER (WHERE m.worker IS NULL)::int AS ready, count(m.id) FILTER (WHERE m.worker IS NOT NULL)::int AS running
FROM unnest($1::text[]) AS q (name) LEFT JOIN {schema}.message m ON m.queue = q.name GROUP BY q.name
