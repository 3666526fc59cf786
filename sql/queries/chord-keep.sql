-- Stores chords before their headers are sent. A chord that already exists stays unchanged.
-- $1 text[] ids, each once · $2 text[] bodies, JSON · $3 text[] roots · $4 text[] the chord id of each member · $5 text[] members, in the
-- order of their results
WITH given AS MATERIALIZED (
  SELECT chord_id, array_agg(task_id ORDER BY at) AS members, count(DISTINCT task_id)::int AS remaining
  FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS m (chord_id, task_id, at) GROUP BY chord_id
), added AS (
  INSERT INTO {schema}.chord (id, members, remaining, body, root_id)
  SELECT c.id, g.members, g.remaining, c.body, c.root_id
  FROM unnest($1::text[], $2::text[], $3::text[]) AS c (id, body, root_id) JOIN given AS g ON g.chord_id = c.id
  ON CONFLICT (id) DO NOTHING RETURNING id, members
)
INSERT INTO {schema}.chord_member (task_id, chord_id) SELECT DISTINCT unnest(members), id FROM added
