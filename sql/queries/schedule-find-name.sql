-- $1 text name
SELECT id FROM {schema}.schedule WHERE name = $1
