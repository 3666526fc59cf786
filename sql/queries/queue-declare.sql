-- Stores the limits that an application declares. A queue that already has a setting keeps it. $1 text[] queues · $2 int[] slots
INSERT INTO {schema}.queue_setting (name, concurrency)
SELECT name, concurrency FROM unnest($1::text[], $2::int[]) AS declared (name, concurrency)
WHERE NOT EXISTS (SELECT FROM {schema}.queue_setting known WHERE known.name = declared.name)
ON CONFLICT (name) DO NOTHING
