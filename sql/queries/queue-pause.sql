-- Pauses or resumes a queue. The table's trigger notifies every worker. $1 text queue · $2 boolean paused. Locks: the row.
INSERT INTO {schema}.queue_setting AS known (name, paused) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, changed_at = clock_timestamp() WHERE known.paused <> excluded.paused
