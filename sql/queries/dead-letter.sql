-- Keeps messages of another broker aside that no worker can run. One array element per message: $1 text[] queues · $2 text[] reasons
-- $3 text[] task ids · $4 text[] tasks · $5 text[] headers · $6 text[] properties · $7 text[] bodies
INSERT INTO dead_letter (queue, reason, task_id, task, headers, properties, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
