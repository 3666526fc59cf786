-- Returns the ids of the tasks that have ended, without their results. $1 text[] ids
SELECT id FROM {schema}.task_result WHERE id = ANY ($1::text[]) AND state IN ('SUCCESS', 'FAILURE', 'REVOKED')
