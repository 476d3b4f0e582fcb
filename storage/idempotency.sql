-- read_answers --
-- First answers of keys, at most one row per (user, key) pair. Index: idempotency_pkey.
SELECT i.user_id, i.key, i.fingerprint, i.status, i.reply
FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, key)
JOIN idempotency i USING (user_id, key);

-- insert_answers --
-- Keep first answers; give them sorted by user and key. Returns a row per answer kept: fewer rows mean that another
-- transaction kept one first. Locks: waits for concurrent inserts of the same key.
INSERT INTO idempotency (user_id, key, fingerprint, status, reply, at_ms)
SELECT user_id, key, fingerprint, status, reply, $6
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::smallint[], $5::bytea[])
    AS new (user_id, key, fingerprint, status, reply)
ON CONFLICT (user_id, key) DO NOTHING
RETURNING 1;

-- delete_old_answers --
-- Forget answers older than an instant, at most $2 of them. Index: idempotency_at.
DELETE FROM idempotency WHERE (user_id, key) IN (
    SELECT user_id, key FROM idempotency WHERE at_ms < $1 ORDER BY at_ms LIMIT $2
);
