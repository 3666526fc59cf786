-- Stores revokes, makes matching messages of the outbox due so that they are stored as REVOKED at once, and notifies the workers.
-- $1 text kind · $2 text[] values · $3 float8 seconds until they expire · $4 text NOTIFY channel of revokes · $5 text payload of this
-- channel $6 text NOTIFY channel of the outbox. Locks: rows of revoked and outbox.
WITH kept AS (
  INSERT INTO {schema}.revoked (kind, value, expires_at) SELECT DISTINCT $1, v, now() + $3 * interval '1 second' FROM unnest($2::text[]) AS v
  ON CONFLICT (kind, value) DO UPDATE SET revoked_at = clock_timestamp(), expires_at = greatest(revoked.expires_at, excluded.expires_at)
  RETURNING value
), hastened AS (
  UPDATE {schema}.outbox SET due_at = now()
  WHERE due_at > now() AND (($1 = 'id' AND task_id = ANY ($2::text[])) OR ($1 = 'task' AND task = ANY ($2::text[])))
  RETURNING 1
), notified AS MATERIALIZED (
  SELECT pg_notify($4, $5)
), woken AS MATERIALIZED (
  SELECT pg_notify($6, '') FROM (SELECT 1 FROM hastened LIMIT 1) AS any_hastened
)
SELECT (SELECT count(*)::int FROM kept) AS kept, (SELECT count(*)::int FROM notified) AS notified, (SELECT count(*)::int FROM woken) AS woken
