-- Counts ended members of chords, each member once. Runs as a separate statement after chord-lock.sql, so that it sees the commits of
-- transactions that held the locks before.
-- $1 text[] task ids · $2 text[] locked chords · $3 text[] members that threw Ignore and have no outcome · $4 text[] their errors, JSON
-- Returns in last the member that ended last, in failed the first member that did not succeed, and in reason its error if known.
WITH ended AS (
  UPDATE {schema}.chord_member SET counted = true WHERE task_id = ANY ($1::text[]) AND chord_id = ANY ($2::text[]) AND NOT counted
  RETURNING task_id, chord_id
), counted AS (
  SELECT e.chord_id, count(*)::int AS ended, (array_agg(e.task_id ORDER BY r.done_at DESC NULLS LAST, e.task_id))[1] AS last,
    (array_agg(e.task_id ORDER BY r.done_at, e.task_id) FILTER (WHERE r.state IN ('FAILURE', 'REVOKED') OR i.id IS NOT NULL))[1] AS failed,
    (array_agg(coalesce(i.thrown, r.result) ORDER BY r.done_at, e.task_id) FILTER (WHERE r.state IN ('FAILURE', 'REVOKED') OR i.id IS NOT NULL))[1] AS reason
  FROM ended AS e LEFT JOIN {schema}.task_result AS r ON r.id = e.task_id
  LEFT JOIN unnest($3::text[], $4::text[]) AS i (id, thrown) ON i.id = e.task_id GROUP BY e.chord_id
)
UPDATE {schema}.chord AS c SET remaining = c.remaining - k.ended FROM counted AS k WHERE c.id = k.chord_id
RETURNING c.id, c.remaining, c.body, c.root_id, k.last, k.failed, k.reason
