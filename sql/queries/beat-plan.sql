-- Gives planned schedules their first tick, unless their definition changed meanwhile (compare-and-swap on version).
-- $1 jsonb array of {id, version, next, finished, error} · $2 text tzdata version of this process
UPDATE schedule s SET next_run_at = p.next, finished = p.finished, last_error = p.error, tzdata = $2
FROM jsonb_to_recordset($1::jsonb) AS p (id uuid, version bigint, next timestamptz, finished boolean, error text)
WHERE s.id = p.id AND s.version = p.version AND s.next_run_at IS NULL AND NOT s.finished
