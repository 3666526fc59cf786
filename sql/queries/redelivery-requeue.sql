-- Records a requeue before it happens. The redelivery that follows counts as a death only if $2 is 1.
-- $1 text[] task ids · $2 int[] 1 or 0
INSERT INTO {schema}.redelivery AS r (task_id, deaths, returns)
SELECT id, sum(counted), count(*) FROM unnest($1::text[], $2::int[]) AS b (id, counted) GROUP BY id ORDER BY id
ON CONFLICT (task_id) DO UPDATE SET deaths = r.deaths + excluded.deaths, returns = r.returns + excluded.returns, worker = NULL, touched_at = now()
