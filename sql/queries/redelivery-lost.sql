-- A living worker reports messages without counted deaths that it lost with its connection to the broker. The next redelivery of each
-- message does not count as a death. A redelivery that was already counted as a death is subtracted.
-- $1 text[] task ids. Locks: rows of redelivery.
INSERT INTO {schema}.redelivery AS r (task_id, returns) SELECT DISTINCT id, 1 FROM unnest($1::text[]) AS l (id) ORDER BY id
ON CONFLICT (task_id) DO UPDATE SET deaths = greatest(r.deaths - 1, 0), returns = r.returns + (r.deaths = 0)::int, touched_at = now()
