-- A message that a worker died with before is about to run: if this worker dies too, it is counted against the message.
-- $1 bigint message · $2 int worker
UPDATE {schema}.message SET started = true WHERE id = $1 AND worker = $2
