-- Milliseconds until the next tick; NULL when there is none.
SELECT ceil(extract(epoch FROM min(next_run_at) - now()) * 1000)::float8 AS wait_ms FROM schedule WHERE enabled AND next_run_at IS NOT NULL
