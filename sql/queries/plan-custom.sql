-- Makes the server plan the next statements of this transaction for the present size of the tables, and not for their size when the
-- connection first ran the statement. Switches JIT off, because compilation takes seconds and saves only milliseconds.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)
