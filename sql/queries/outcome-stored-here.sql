-- Returns the ids whose outcome this transaction stored. For every other id, another transaction stored an outcome first. $1 text[] ids
SELECT id FROM {schema}.task_result WHERE id = ANY ($1::text[]) AND xmin = pg_current_xact_id()::xid
