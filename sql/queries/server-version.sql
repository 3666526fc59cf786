-- The server that answers.
SELECT version()
