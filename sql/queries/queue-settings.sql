-- Returns the queues that are paused or limited. A queue without a row is neither paused nor limited.
SELECT name, paused, concurrency FROM {schema}.queue_setting WHERE paused OR concurrency IS NOT NULL
