-- $1 text name
SELECT id FROM schedule WHERE name = $1
