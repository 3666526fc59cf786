-- Returns members of open chords that are not counted yet, newest chords first, for the process that collects results of workers of other
-- programs.
-- $1 int maximum number of members
SELECT m.task_id AS id FROM {schema}.chord AS c JOIN {schema}.chord_member AS m ON m.chord_id = c.id
WHERE NOT m.counted ORDER BY c.created_at DESC, m.task_id LIMIT $1::int
