-- Returns which of these tasks have ended, without their values. $1 text[] ids
SELECT id FROM {schema}.task_result WHERE id = ANY ($1::text[]) AND state IN ('SUCCESS', 'FAILURE', 'REVOKED')
