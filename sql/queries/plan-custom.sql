-- For the statement that follows in this transaction, which looks something up for each of many rows: planned for the tables as they are now,
-- not as they were when this connection saw it first; and not compiled, which takes seconds and saves milliseconds.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)
