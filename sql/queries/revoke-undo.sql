-- Allows revoked tasks to run again. $1 text kind · $2 text[] values · $3 text NOTIFY channel of revokes
WITH gone AS (DELETE FROM {schema}.revoked WHERE kind = $1 AND value = ANY ($2::text[]) RETURNING 1),
  notified AS MATERIALIZED (SELECT pg_notify($3, ''))
SELECT (SELECT count(*)::int FROM gone) AS undone, (SELECT count(*)::int FROM notified) AS notified
