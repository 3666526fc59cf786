-- What an application says of its queues: only where nobody has set anything yet. $1 text[] queues · $2 int[] how many at once.
INSERT INTO {schema}.queue_setting (name, concurrency)
SELECT name, concurrency FROM unnest($1::text[], $2::int[]) AS declared (name, concurrency)
WHERE NOT EXISTS (SELECT FROM {schema}.queue_setting known WHERE known.name = declared.name)
ON CONFLICT (name) DO NOTHING
