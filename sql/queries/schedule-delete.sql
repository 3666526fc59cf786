-- The run history stays. $1 uuid
DELETE FROM schedule WHERE id = $1 RETURNING id
