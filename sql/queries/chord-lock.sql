-- The open chords of these members, locked until the end of the transaction: who counts or ends a chord does it alone. $1 text[] task ids
-- Locks: rows of chord in the order of their ids; rows of chord_member are touched only by whoever holds the lock of their chord.
SELECT id FROM {schema}.chord WHERE id IN (SELECT chord_id FROM {schema}.chord_member WHERE task_id = ANY ($1::text[]) AND NOT counted) ORDER BY id FOR UPDATE
