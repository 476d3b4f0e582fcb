-- read_answers --
-- First answers of keys, at most one row per (user, key) pair. Index: idempotency_pkey.
SELECT i.user_id, i.key, i.fingerprint, i.status, i.reply
FROM unnest($1::uuid[], $2::text[]) AS wanted (user_id, key)
JOIN idempotency i USING (user_id, key);

-- delete_old_answers --
-- Forget answers older than an instant, at most $2 of them; one row for each. Index: idempotency_at.
DELETE FROM idempotency WHERE (user_id, key) IN (
    SELECT user_id, key FROM idempotency WHERE at_ms < $1 ORDER BY at_ms LIMIT $2
)
RETURNING 1;
