-- A worker that lives lost its connection to the broker and with it these messages, none of which had a death on its record: the
-- redelivery that follows is no death. One that was looked at already has been taken for a death, and that is taken back.
-- $1 text[] task ids. Locks: rows of redelivery.
INSERT INTO {schema}.redelivery AS r (task_id, returns) SELECT DISTINCT id, 1 FROM unnest($1::text[]) AS l (id) ORDER BY id
ON CONFLICT (task_id) DO UPDATE SET deaths = greatest(r.deaths - 1, 0), returns = r.returns + (r.deaths = 0)::int, touched_at = now()
