-- Ticks that an older time zone database computed are planned anew; an older host never overwrites a newer one. Due ticks stay.
-- $1 text tzdata version of this process
UPDATE schedule SET next_run_at = NULL
WHERE kind = 'crontab' AND timezone <> 'UTC' AND tzdata < $1 AND next_run_at > now()
