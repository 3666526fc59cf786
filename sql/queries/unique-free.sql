-- Frees the keys of unique tasks that have ended. $1 text[] task ids
DELETE FROM {schema}.unique_task WHERE task_id = ANY ($1::text[])
