-- Records a requeue before it happens: the redelivery that follows is no death unless it is counted as one.
-- $1 text[] task ids · $2 int[] 1 if it counts as a death, else 0
INSERT INTO {schema}.redelivery AS r (task_id, deaths, returns)
SELECT id, sum(counted), count(*) FROM unnest($1::text[], $2::int[]) AS b (id, counted) GROUP BY id ORDER BY id
ON CONFLICT (task_id) DO UPDATE SET deaths = r.deaths + excluded.deaths, returns = r.returns + excluded.returns, worker = NULL, touched_at = now()
