-- Returns dead letters, newest first. $1 int maximum number of rows · $2 bigint only rows with a lower id; NULL: from the newest row
SELECT id::text, queue, reason, task_id, task, priority, headers, left(body, 2000) AS body, died_at FROM {schema}.dead_letter
WHERE $2::bigint IS NULL OR id < $2 ORDER BY id DESC LIMIT $1
