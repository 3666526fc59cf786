-- Deletes a schedule. Its history stays. $1 uuid
DELETE FROM {schema}.schedule WHERE id = $1 RETURNING id
