-- A living worker lost its connection to the broker and with it these messages, none of which had counted deaths. The next redelivery of each
-- is no death. A redelivery that was already counted as a death is taken back. $1 text[] task ids. Locks: rows of redelivery.
INSERT INTO {schema}.redelivery AS r (task_id, returns) SELECT DISTINCT id, 1 FROM unnest($1::text[]) AS l (id) ORDER BY id
ON CONFLICT (task_id) DO UPDATE SET deaths = greatest(r.deaths - 1, 0), returns = r.returns + (r.deaths = 0)::int, touched_at = now()
