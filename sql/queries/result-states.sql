-- Returns the states of tasks; tasks without a row are left out. $1 text[] ids
SELECT state FROM {schema}.task_result WHERE id = ANY ($1::text[])
