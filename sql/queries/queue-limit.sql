-- How many tasks of a queue run at once over all workers. $1 text queue · $2 int how many, NULL: no limit. Locks: the row, which stays, so that
-- the application's own declaration does not come back.
INSERT INTO {schema}.queue_setting AS known (name, concurrency) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, changed_at = clock_timestamp()
  WHERE known.concurrency IS DISTINCT FROM excluded.concurrency
