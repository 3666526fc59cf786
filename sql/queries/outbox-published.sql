-- The broker has confirmed these. $1 text[] task ids
DELETE FROM {schema}.outbox WHERE task_id = ANY ($1::text[])
