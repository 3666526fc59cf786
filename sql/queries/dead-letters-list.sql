-- Returns dead letters, newest first. $1 int how many · $2 bigint only rows before this one; NULL: from the newest
SELECT id::text, queue, reason, task_id, task, priority, headers, left(body, 2000) AS body, died_at FROM {schema}.dead_letter
WHERE $2::bigint IS NULL OR id < $2 ORDER BY id DESC LIMIT $1
