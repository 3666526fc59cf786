-- Returns the milliseconds until the next message of the outbox is due; 0 or less if a due message is left because another relay holds it.
SELECT ceil(extract(epoch FROM due_at - now()) * 1000)::float8 AS next_due_ms FROM {schema}.outbox
WHERE due_at < now() + interval '1 day' ORDER BY due_at LIMIT 1
