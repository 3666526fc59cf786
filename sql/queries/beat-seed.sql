-- A schedule that the code brings along, as an interval: made when missing, changed when the code says otherwise. enabled stays the user's.
-- $1 text name · $2 text description · $3 text task · $4 int every · $5 text period · $6 text catchup · $7 timestamptz anchor
INSERT INTO schedule (name, description, task, kind, every, period, anchor, catchup, origin)
VALUES ($1, $2, $3, 'interval', $4, $5, $7, $6, 'code')
ON CONFLICT ON CONSTRAINT schedule_name DO UPDATE SET description = excluded.description, task = excluded.task, every = excluded.every,
  period = excluded.period, catchup = excluded.catchup
WHERE schedule.origin = 'code'
  AND (schedule.every, schedule.period, schedule.task, schedule.description, schedule.catchup)
    IS DISTINCT FROM (excluded.every, excluded.period, excluded.task, excluded.description, excluded.catchup)
