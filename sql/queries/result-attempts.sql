-- Returns up to which attempt the outcomes of tasks are stored: recorded of redelivery-count.sql, without its history. $1 text[] ids
SELECT id, CASE WHEN state IN ('SUCCESS', 'FAILURE', 'REVOKED') THEN 2147483647 WHEN state = 'RETRY' THEN retries
  WHEN state <> 'PENDING' THEN retries - 1 END AS recorded
FROM {schema}.task_result WHERE id = ANY ($1::text[])
