-- Returns the number of the last attempt (retries) whose outcome is stored: like the column recorded of redelivery-count.sql, but without
-- the history of redeliveries.
-- $1 text[] ids
SELECT id, CASE WHEN state IN ('SUCCESS', 'FAILURE', 'REVOKED') THEN 2147483647 WHEN state = 'RETRY' THEN retries
  WHEN state <> 'PENDING' THEN retries - 1 END AS recorded
FROM {schema}.task_result WHERE id = ANY ($1::text[])
