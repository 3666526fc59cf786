-- A message with deaths on its record is about to run: if this worker dies too, it is counted against the message.
-- $1 text task id · $2 int worker
INSERT INTO {schema}.redelivery AS r (task_id, worker) VALUES ($1, $2) ON CONFLICT (task_id) DO UPDATE SET worker = $2, touched_at = now()
