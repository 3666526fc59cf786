-- Schedules that the code no longer brings along; their history stays. $1 text[] names that it does bring along
DELETE FROM schedule WHERE origin = 'code' AND name <> ALL ($1::text[]) RETURNING name
