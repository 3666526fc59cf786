-- Inserts a schedule. next_run_at stays NULL: beat plans the first tick when it receives the trigger's NOTIFY.
-- $1 id · $2 name · $3 description · $4 task · $5 args, JSON array · $6 kwargs, JSON object · $7 queue · $8 origin · $9 kind
-- $10 minute · $11 hour · $12 day_of_week · $13 day_of_month · $14 month_of_year · $15 day_rule · $16 timezone
-- $17 every · $18 period · $19 anchor · $20 clocked_time; a clocked schedule is always one_off
INSERT INTO {schema}.schedule (id, name, description, task, args, kwargs, queue, origin, kind, minute, hour, day_of_week, day_of_month, month_of_year,
  day_rule, timezone, every, period, anchor, clocked_time, one_off)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $9 = 'clocked')
