-- Waits until no claim of this worker runs: each claim holds its row FOR KEY SHARE (message-settle.sql). $1 int worker
SELECT id FROM {schema}.worker WHERE id = $1 FOR UPDATE
