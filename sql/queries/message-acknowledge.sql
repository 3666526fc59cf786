-- Acknowledges messages before their tasks run: if the worker dies now, they are lost. $1 bigint[] messages · $2 int worker
-- gone: deleted by this statement · there: the message exists, perhaps held by another worker · alive: this worker is still registered, so a
-- missing message of its own was acknowledged by an earlier statement whose answer was lost
WITH gone AS (DELETE FROM {schema}.message WHERE id = ANY ($1::bigint[]) AND worker = $2 RETURNING id)
SELECT a.id, a.id IN (SELECT id FROM gone) AS gone, EXISTS (SELECT FROM {schema}.message m WHERE m.id = a.id) AS there,
  EXISTS (SELECT FROM {schema}.worker w WHERE w.id = $2) AS alive
FROM unnest($1::bigint[]) AS a (id)
