-- Marks the keys of messages that may or may not have been sent. The next call with such a key sends the message again under the same id.
-- $1 text[] keys · $2 text[] ids
UPDATE {schema}.unique_task SET sender = NULL FROM unnest($1::text[], $2::text[]) AS claimed (key, task_id)
WHERE unique_task.key = claimed.key AND unique_task.task_id = claimed.task_id
