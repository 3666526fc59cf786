-- Which of these outcomes has this transaction stored? The others came second. $1 text[] ids
SELECT id FROM {schema}.task_result WHERE id = ANY ($1::text[]) AND xmin = pg_current_xact_id()::xid
