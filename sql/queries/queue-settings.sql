-- Returns the queues that are paused or limited. A queue without a row is neither.
SELECT name, paused, concurrency FROM {schema}.queue_setting WHERE paused OR concurrency IS NOT NULL
