-- Marks a message with counted deaths as started. If this worker dies too, its death counts against the message.
-- $1 bigint message · $2 int worker
UPDATE {schema}.message SET started = true WHERE id = $1 AND worker = $2
