-- $1 text id
DELETE FROM task_result WHERE id = $1
