-- The trigger schedule_touch plans anew, from now: what would have run meanwhile is not made up for. $1 uuid · $2 boolean
UPDATE {schema}.schedule SET enabled = $2 WHERE id = $1 RETURNING id
