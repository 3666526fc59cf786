-- Sets how many tasks of a queue run at once over all workers.
-- $1 text queue · $2 int slots; NULL: no limit
-- If the limit is removed, the row stays, so that the limit that the application declares does not come back. Locks: the row.
INSERT INTO {schema}.queue_setting AS known (name, concurrency) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, changed_at = clock_timestamp()
  WHERE known.concurrency IS DISTINCT FROM excluded.concurrency
