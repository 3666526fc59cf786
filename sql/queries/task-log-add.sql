-- Stores log lines of tasks. One array element per line: $1 text[] task ids · $2 int[] retries · $3 int[] levels · $4 float8[] ms since the
-- epoch · $5 text[] messages · $6 text[] fields, JSON or NULL
INSERT INTO {schema}.task_log (task_id, retries, level, at, message, fields)
SELECT l.task_id, l.retries, l.level, to_timestamp(l.at / 1000), l.message, l.fields
FROM unnest($1::text[], $2::int[], $3::int[], $4::float8[], $5::text[], $6::text[]) AS l (task_id, retries, level, at, message, fields)
