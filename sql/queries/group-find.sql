-- Returns the members of a group, in the order of their results. $1 text id
SELECT members FROM {schema}.task_group WHERE id = $1
