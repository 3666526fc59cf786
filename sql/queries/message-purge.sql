-- Deletes the ready messages of a queue. $1 text queue
WITH gone AS (DELETE FROM {schema}.message WHERE queue = $1 AND worker IS NULL RETURNING 1) SELECT count(*)::int AS purged FROM gone
