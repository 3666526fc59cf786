-- Deletes the row of a worker that stops, after any claim of it that still runs. worker-requeue.sql follows in the same transaction.
-- $1 int worker
DELETE FROM {schema}.worker WHERE id = $1
