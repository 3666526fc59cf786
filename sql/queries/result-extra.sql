-- Writes the columns that few results have, in the transaction that stored the results. NULL leaves a column unchanged, except next_at.
-- One array element per result: $1 text[] ids · $2 float8[] next attempt, ms since the epoch · $3 float8[] seconds to live from now
-- $4 text[] parents · $5 text[] roots · $6 text[] children, JSON · $7 text[] progress, JSON
UPDATE {schema}.task_result t SET next_at = to_timestamp(e.next_at / 1000),
  expires_at = CASE WHEN t.state IN ('SUCCESS', 'FAILURE', 'REVOKED') THEN now() + make_interval(secs => e.ttl) END,
  parent_id = coalesce(e.parent_id, t.parent_id), root_id = coalesce(e.root_id, t.root_id), children = coalesce(e.children, t.children),
  progress = coalesce(e.progress, t.progress)
FROM unnest($1::text[], $2::float8[], $3::float8[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS e (id, next_at, ttl, parent_id, root_id, children, progress)
WHERE t.id = e.id
