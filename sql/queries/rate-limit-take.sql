-- Takes permits under rate limits that all workers share. Permits are one interval apart; the first free permits are taken.
-- $1 text[] limits, each once · $2 float8[] milliseconds from one permit to the next · $3 int[] number of permits
-- Returns next_ms: milliseconds until the permit that follows the last taken permit. Locks: rows of rate_limit in the order of their keys.
INSERT INTO {schema}.rate_limit AS taken (key, next_at)
SELECT key, statement_timestamp() + places * interval_ms * interval '1 millisecond'
FROM unnest($1::text[], $2::float8[], $3::int[]) AS asked (key, interval_ms, places) ORDER BY key
ON CONFLICT (key) DO UPDATE
  SET next_at = greatest(taken.next_at, statement_timestamp()) + (excluded.next_at - statement_timestamp())
RETURNING key, (extract(epoch FROM next_at - clock_timestamp()) * 1000)::float8 AS next_ms
