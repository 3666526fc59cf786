-- Waits until the server executes no claim of this worker. Each claim locks the worker's row FOR KEY SHARE (message-settle.sql).
-- $1 int worker
SELECT id FROM {schema}.worker WHERE id = $1 FOR UPDATE
