-- Deletes expired revokes, expired keys of unique tasks, and the history of messages that vanished from their broker more than $1 seconds
-- ago.
-- $1 float8 seconds · $2 int maximum number of rows from each table. Locks: the rows, with SKIP LOCKED.
WITH revokes AS (
  DELETE FROM {schema}.revoked WHERE ctid = ANY (ARRAY (SELECT ctid FROM {schema}.revoked WHERE expires_at < now() LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING 1
), keys AS (
  DELETE FROM {schema}.unique_task WHERE ctid = ANY (ARRAY (SELECT ctid FROM {schema}.unique_task WHERE expires_at < now() LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING 1
), histories AS (
  DELETE FROM {schema}.redelivery WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM {schema}.redelivery WHERE touched_at < now() - make_interval(secs => $1) LIMIT $2 FOR UPDATE SKIP LOCKED
  )) RETURNING 1
)
SELECT greatest((SELECT count(*)::int FROM revokes), (SELECT count(*)::int FROM keys), (SELECT count(*)::int FROM histories)) AS deleted
