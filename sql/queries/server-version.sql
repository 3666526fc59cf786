-- Returns the version of the server.
SELECT version()
