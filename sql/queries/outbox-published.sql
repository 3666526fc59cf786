-- Deletes messages that the broker has confirmed. $1 text[] task ids
DELETE FROM {schema}.outbox WHERE task_id = ANY ($1::text[])
