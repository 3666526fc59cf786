-- For tasks that threw Ignore: deletes what their attempts stored. A task that was sent from the console becomes PENDING again.
-- $1 text[] ids. Locks: the rows.
WITH gone AS (
  DELETE FROM {schema}.task_result WHERE id = ANY ($1::text[]) AND done_at IS NULL AND args IS NULL
)
UPDATE {schema}.task_result SET state = 'PENDING', result = NULL, traceback = NULL, worker = NULL,
  retries = 0, started_at = NULL, next_at = NULL, progress = NULL
WHERE id = ANY ($1::text[]) AND done_at IS NULL AND args IS NOT NULL
