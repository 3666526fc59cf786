-- Which of these slots are free: they are this session's now, until it ends or lets go of them. $1 text what they are of · $2 int[] slots that
-- this session does not have. Locks: one session advisory lock each.
SELECT slot FROM (SELECT slot, pg_try_advisory_lock(hashtext($1), slot) AS got FROM unnest($2::int[]) AS wanted (slot)) AS tried WHERE got
