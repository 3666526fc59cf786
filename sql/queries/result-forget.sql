-- Deletes a result and its log lines. $1 text id
WITH lines AS (DELETE FROM {schema}.task_log WHERE task_id = $1) DELETE FROM {schema}.task_result WHERE id = $1
