-- Returns which of these outcomes this transaction stored. Another transaction stored the others first. $1 text[] ids
SELECT id FROM {schema}.task_result WHERE id = ANY ($1::text[]) AND xmin = pg_current_xact_id()::xid
