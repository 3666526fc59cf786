-- After a broken connection: what this worker holds and what was made ready meanwhile is its own again, unless somebody else has it. It had
-- been declared dead, or the server crashed and forgot its claim, which did not wait for the disk. It lives, so its death is taken back.
-- $1 int worker, whose row the transaction has locked · $2 bigint[] messages that it holds · $3 bigint[] those against which its death was
-- counted · $4 bigint[] those that it has begun with a death on their record. Locks: rows of message.
UPDATE {schema}.message SET started = started OR (worker IS NULL AND id = ANY ($4::bigint[])), worker = coalesce(worker, $1::int),
  deaths = greatest(deaths - (id = ANY ($3::bigint[]))::int, 0)
WHERE id = ANY ($2::bigint[]) AND (worker IS NULL OR id = ANY ($3::bigint[]))
