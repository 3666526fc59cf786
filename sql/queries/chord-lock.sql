-- Locks the open chords of these members until the end of the transaction, so that only one transaction counts or ends a chord.
-- $1 text[] task ids
-- Locks: rows of chord in the order of their ids. Rows of chord_member change only under the lock of their chord.
SELECT id FROM {schema}.chord
WHERE id IN (SELECT chord_id FROM {schema}.chord_member WHERE task_id = ANY ($1::text[]) AND NOT counted) ORDER BY id FOR UPDATE
