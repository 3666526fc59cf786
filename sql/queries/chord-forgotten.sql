-- Deletes chords that nobody ended within $1 seconds, and of which no member waits for its time or for a worker; at most $2.
-- Locks: rows of chord with SKIP LOCKED.
WITH old AS MATERIALIZED (
  SELECT c.id FROM chord c WHERE c.created_at < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT FROM chord_member m JOIN outbox o ON o.task_id = m.task_id WHERE m.chord_id = c.id)
    AND NOT EXISTS (SELECT FROM chord_member m JOIN message w ON w.task_id = m.task_id WHERE m.chord_id = c.id)
  ORDER BY c.created_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED
), members AS (
  DELETE FROM chord_member WHERE chord_id IN (SELECT id FROM old)
), gone AS (
  DELETE FROM chord WHERE id IN (SELECT id FROM old) RETURNING 1
)
SELECT count(*)::int AS deleted FROM gone
