-- Finds open chords without any activity for $1 seconds: no member is in the outbox or in a queue of this database, and no member was
-- sent, started, retried or ended in this time. Returns at most $2 chords, each with up to three members that did not end. The results of
-- members stay as long as their chord (result-clean-up.sql), so a slow but living header still shows activity here.
-- $1 float8 seconds · $2 int chords. Locks: rows of chord with SKIP LOCKED.
SELECT c.id, c.body, c.root_id, c.remaining,
  ARRAY (SELECT m.task_id FROM {schema}.chord_member m WHERE m.chord_id = c.id AND NOT m.counted ORDER BY m.task_id LIMIT 3) AS missing
FROM {schema}.chord c WHERE c.created_at < now() - make_interval(secs => $1)
  AND NOT EXISTS (SELECT FROM {schema}.chord_member m JOIN {schema}.outbox o ON o.task_id = m.task_id WHERE m.chord_id = c.id)
  AND NOT EXISTS (SELECT FROM {schema}.chord_member m JOIN {schema}.message w ON w.task_id = m.task_id WHERE m.chord_id = c.id)
  AND NOT EXISTS (
    SELECT FROM {schema}.chord_member m JOIN {schema}.task_result r ON r.id = m.task_id
    WHERE m.chord_id = c.id AND greatest(r.created_at, r.started_at, r.done_at, r.next_at) > now() - make_interval(secs => $1)
  )
ORDER BY c.created_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED
