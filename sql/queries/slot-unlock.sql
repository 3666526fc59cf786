-- Lets go of slots. $1 text what they are of · $2 int[] slots
SELECT pg_advisory_unlock(hashtext($1), slot) FROM unnest($2::int[]) AS held (slot)
