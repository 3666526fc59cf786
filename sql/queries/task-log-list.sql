-- Returns the last log lines of a task, oldest first. $1 text task id · $2 int maximum number of lines
SELECT retries, level, (extract(epoch FROM at) * 1000)::float8 AS at_ms, message, fields
FROM (SELECT * FROM {schema}.task_log WHERE task_id = $1 ORDER BY id DESC LIMIT $2) AS last ORDER BY id
