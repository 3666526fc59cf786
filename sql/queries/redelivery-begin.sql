-- Records that this worker starts a message with counted deaths. If the worker dies too, its death counts against the message.
-- $1 text task id · $2 int worker
INSERT INTO {schema}.redelivery AS r (task_id, worker) VALUES ($1, $2) ON CONFLICT (task_id) DO UPDATE SET worker = $2, touched_at = now()
