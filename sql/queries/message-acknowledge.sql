-- Messages are acknowledged before they run: gone, for whoever dies. $1 bigint[] messages · $2 int worker
-- gone: by this statement · there: it is somewhere, perhaps with another worker by now · alive: nobody has declared this worker dead, so what
-- was its own and is not there was acknowledged before, by a statement whose answer was lost
WITH gone AS (DELETE FROM {schema}.message WHERE id = ANY ($1::bigint[]) AND worker = $2 RETURNING id)
SELECT a.id, a.id IN (SELECT id FROM gone) AS gone, EXISTS (SELECT FROM {schema}.message m WHERE m.id = a.id) AS there,
  EXISTS (SELECT FROM {schema}.worker w WHERE w.id = $2) AS alive
FROM unnest($1::bigint[]) AS a (id)
