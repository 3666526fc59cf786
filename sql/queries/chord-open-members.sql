-- Returns members of open chords that are not counted yet, newest chords first, for a process that reads results of other workers.
-- $1 int members at most
SELECT m.task_id AS id FROM {schema}.chord AS c JOIN {schema}.chord_member AS m ON m.chord_id = c.id
WHERE NOT m.counted ORDER BY c.created_at DESC, m.task_id LIMIT $1::int
