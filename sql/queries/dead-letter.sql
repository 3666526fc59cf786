-- Stores dead letters: messages that no worker can run, or that a person should examine. One array element per message:
-- $1 text[] queues · $2 text[] reasons · $3 text[] task ids · $4 text[] tasks · $5 int[] priorities · $6 text[] headers · $7 text[]
-- properties $8 text[] bodies
INSERT INTO {schema}.dead_letter (queue, reason, task_id, task, priority, headers, properties, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::text[])
