-- Returns state and result of every member of the given chords, in the order in which the body receives them. State and result of a member
-- without a stored result are NULL.
-- $1 text[] chords
SELECT c.id AS chord_id, m.task_id, r.state, r.result FROM {schema}.chord AS c
CROSS JOIN LATERAL unnest(c.members) WITH ORDINALITY AS m (task_id, at) LEFT JOIN {schema}.task_result AS r ON r.id = m.task_id
WHERE c.id = ANY ($1::text[]) ORDER BY c.id, m.at
