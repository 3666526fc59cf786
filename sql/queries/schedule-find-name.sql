-- Returns the id of the schedule with this name. $1 text name
SELECT id FROM {schema}.schedule WHERE name = $1
