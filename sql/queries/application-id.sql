-- Returns an id of this application, which tells it from others on the same broker. All processes that share a schema have the same id.
-- The time of the first migration is part of it, because two servers can have a database and a schema of the same name.
-- $1 text schema. Locks: none.
SELECT left(md5(concat_ws(':', current_database(), $1::text, min(run_on))), 16) AS id FROM {schema}.migration
