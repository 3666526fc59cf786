-- Deletes the row of a worker that stops. Waits for a claim of this worker that still runs. worker-requeue.sql follows in the same
-- transaction.
-- $1 int worker
DELETE FROM {schema}.worker WHERE id = $1
