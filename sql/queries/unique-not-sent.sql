-- Frees the keys of messages that were certainly not sent. $1 text[] keys · $2 text[] ids
DELETE FROM {schema}.unique_task USING unnest($1::text[], $2::text[]) AS claimed (key, task_id)
WHERE unique_task.key = claimed.key AND unique_task.task_id = claimed.task_id
