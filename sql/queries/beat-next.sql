-- Returns the database's time, whether a tick is due, and the milliseconds until the next tick (NULL: no tick within the hour). The bound
-- of one hour excludes 'infinity': before PostgreSQL 17 'infinity' minus a time is an error.
SELECT now() AS db_now,
  EXISTS (SELECT FROM {schema}.schedule WHERE enabled AND next_run_at <= now()) AS overdue,
  (SELECT ceil(extract(epoch FROM next_run_at - now()) * 1000)::float8 FROM {schema}.schedule
   WHERE enabled AND next_run_at > now() AND next_run_at < now() + interval '1 hour' ORDER BY next_run_at LIMIT 1) AS wait_ms
