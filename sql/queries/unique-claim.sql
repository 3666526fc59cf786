-- Claims the keys of unique tasks. A key is free if it has no row or an expired one. If the sender of a row is NULL, the claim succeeds
-- and the row keeps its task id: the message is sent again under this id. Returns the holder of each key. Waits for a row that another
-- transaction is writing. The claim succeeded if sender is the id of the claiming message, so the statement may be repeated.
-- $1 text[] keys, each once · $2 text[] ids of the claiming messages · $3 float8[] milliseconds to hold the key
-- Locks: rows of unique_task in the order of their keys, until the end of the transaction.
INSERT INTO {schema}.unique_task AS held (key, task_id, sender, expires_at)
SELECT key, task_id, task_id, statement_timestamp() + for_ms * interval '1 millisecond'
FROM unnest($1::text[], $2::text[], $3::float8[]) AS claimed (key, task_id, for_ms) ORDER BY key
ON CONFLICT (key) DO UPDATE SET
  task_id = CASE WHEN held.expires_at <= statement_timestamp() THEN excluded.task_id ELSE held.task_id END,
  sender = CASE WHEN held.expires_at <= statement_timestamp() OR held.sender IS NULL THEN excluded.sender ELSE held.sender END,
  expires_at = CASE WHEN held.expires_at <= statement_timestamp() OR held.sender IS NULL THEN excluded.expires_at ELSE held.expires_at END
RETURNING key, task_id, sender
