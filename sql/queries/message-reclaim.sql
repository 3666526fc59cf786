-- After a broken connection: claims again the messages that this worker still holds, unless another worker has claimed them. They became
-- ready because this worker was declared dead, or because a crash of the server lost the claim, which is committed without waiting for the
-- disk. The worker lives, so the death that was counted for it is subtracted.
-- $1 int worker, whose row the transaction has locked · $2 bigint[] messages that it holds · $3 bigint[] messages against which its death
-- was counted · $4 bigint[] messages with counted deaths that it has started. Locks: rows of message.
UPDATE {schema}.message SET started = started OR (worker IS NULL AND id = ANY ($4::bigint[])), worker = coalesce(worker, $1::int),
  deaths = greatest(deaths - (id = ANY ($3::bigint[]))::int, 0)
WHERE id = ANY ($2::bigint[]) AND (worker IS NULL OR id = ANY ($3::bigint[]))
