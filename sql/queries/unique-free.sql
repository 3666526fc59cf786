-- Unique tasks have ended: the same work may be queued again. $1 text[] task ids
DELETE FROM {schema}.unique_task WHERE task_id = ANY ($1::text[])
