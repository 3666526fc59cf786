-- A worker ends: its row goes, after any claim of it that still runs; worker-requeue.sql follows in the same transaction. $1 int worker
DELETE FROM {schema}.worker WHERE id = $1
