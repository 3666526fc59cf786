-- Stores groups, as Celery's GroupResult.save does. $1 text[] ids, each once · $2 text[] the group id of each member · $3 text[] members
INSERT INTO {schema}.task_group (id, members)
SELECT g.id, coalesce((SELECT array_agg(m.task_id ORDER BY m.at) FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS m (group_id, task_id, at)
  WHERE m.group_id = g.id), '{}')
FROM unnest($1::text[]) AS g (id)
ON CONFLICT (id) DO UPDATE SET members = excluded.members
