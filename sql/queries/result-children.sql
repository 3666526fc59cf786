-- $1 text id
SELECT children FROM task_result WHERE id = $1
