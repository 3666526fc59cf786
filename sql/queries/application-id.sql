-- What tells this application from others on the same broker: all processes that share a schema have it, and nobody else does. The moment of
-- the first migration goes into it, because two machines may well have a database and a schema of the same name. Locks: none.
SELECT left(md5(concat_ws(':', current_database(), current_schema(), min(run_on))), 16) AS id FROM migration
