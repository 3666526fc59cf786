-- Acknowledges messages before their tasks run: a message is lost if the worker dies before its task ends.
-- $1 bigint[] messages · $2 int worker
-- Returns gone: this statement deleted the message · there: the message exists, perhaps held by another worker · alive: this worker is
-- still registered. If it is, and a message of it is missing, an earlier statement whose answer was lost acknowledged the message.
WITH gone AS (DELETE FROM {schema}.message WHERE id = ANY ($1::bigint[]) AND worker = $2 RETURNING id)
SELECT a.id, a.id IN (SELECT id FROM gone) AS gone, EXISTS (SELECT FROM {schema}.message m WHERE m.id = a.id) AS there,
  EXISTS (SELECT FROM {schema}.worker w WHERE w.id = $2) AS alive
FROM unnest($1::bigint[]) AS a (id)
