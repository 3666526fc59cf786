-- Deletes expired keys that nobody claims again. $1 int maximum number of rows. Locks: the rows, with SKIP LOCKED.
DELETE FROM {schema}.unique_task WHERE key = ANY (ARRAY (
  SELECT key FROM {schema}.unique_task WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
))
