-- Notifies the channel that this process listens on, to check that NOTIFY arrives over its connection. $1 text channel
SELECT pg_notify($1, '')
