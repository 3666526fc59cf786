-- Releases slots. $1 text owner of the slots, such as a queue · $2 int[] slots
SELECT pg_advisory_unlock(hashtext($1), slot) FROM unnest($2::int[]) AS held (slot)
