-- To oneself: does NOTIFY arrive over this connection? $1 text channel
SELECT pg_notify($1, '')
