-- $1 text id
SELECT id, members, created_at FROM task_group WHERE id = $1
