-- Makes the server plan the next statements of this transaction for the tables as they are now, not as they were when the connection first
-- saw the statement. Switches JIT off, because compilation takes seconds and saves milliseconds.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)
