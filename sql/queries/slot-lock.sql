-- Takes free slots for this session, which holds them until it ends or releases them.
-- $1 text owner of the slots, such as a queue · $2 int[] slots that the session does not hold
-- Locks: one session advisory lock for each slot.
SELECT slot FROM (SELECT slot, pg_try_advisory_lock(hashtext($1), slot) AS got FROM unnest($2::int[]) AS wanted (slot)) AS tried WHERE got
