-- Takes free slots for this session until it ends or releases them. $1 text what the slots belong to · $2 int[] slots that it does not have
-- Locks: one session advisory lock each.
SELECT slot FROM (SELECT slot, pg_try_advisory_lock(hashtext($1), slot) AS got FROM unnest($2::int[]) AS wanted (slot)) AS tried WHERE got
