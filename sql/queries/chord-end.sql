-- Deletes chords whose body was sent or will never run. $1 text[] chords, locked by chord-lock.sql
WITH members AS (DELETE FROM {schema}.chord_member WHERE chord_id = ANY ($1::text[]))
DELETE FROM {schema}.chord WHERE id = ANY ($1::text[])
