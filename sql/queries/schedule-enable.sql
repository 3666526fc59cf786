-- Enables or disables a schedule. The trigger schedule_touch clears next_run_at, so beat plans from now and does not catch up.
-- $1 uuid · $2 boolean enabled
UPDATE {schema}.schedule SET enabled = $2 WHERE id = $1 RETURNING id
