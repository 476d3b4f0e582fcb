-- insert_token --
-- Returns 1 when the token was added, no row when the user has $7 live ones of this purpose that are not older than
-- $8. Index: account_tokens_user. The user's row should be locked: two at once may both be added.
INSERT INTO account_tokens (token_hash, user_id, purpose, email, at_ms, expires_at_ms)
SELECT $1, $2, $3, $4, $5, $6
WHERE (SELECT count(*) FROM account_tokens WHERE user_id = $2 AND purpose = $3 AND at_ms > $8) < $7
RETURNING 1;

-- read_token --
-- A live token with its user. At most one row. Index: account_tokens_pkey. Locks: none.
SELECT t.user_id, t.purpose, t.email, u.email AS user_email, u.display_name
FROM account_tokens AS t JOIN users AS u USING (user_id)
WHERE t.token_hash = $1 AND t.purpose = ANY ($2::text[]) AND t.expires_at_ms > $3;

-- take_token --
-- The token is used. One row, or none when it is not live any more. Index: account_tokens_pkey. Locks: its row.
DELETE FROM account_tokens
WHERE token_hash = $1 AND purpose = ANY ($2::text[]) AND expires_at_ms > $3
RETURNING user_id, purpose, email;

-- delete_tokens --
-- Nothing. All tokens of a user for these purposes are good for nothing. Index: account_tokens_user. Locks: their rows.
DELETE FROM account_tokens WHERE user_id = $1 AND purpose = ANY ($2::text[]);

-- delete_old_tokens --
-- Forget tokens that expired before $1, at most $2; one row for each. Index: account_tokens_expires. Locks: their rows.
DELETE FROM account_tokens WHERE token_hash IN (
    SELECT token_hash FROM account_tokens WHERE expires_at_ms < $1 ORDER BY expires_at_ms LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING 1;

-- insert_reset_request --
-- Nothing. Locks: the new row.
INSERT INTO reset_requests (request_id, email) VALUES ($1, $2);

-- take_reset_requests --
-- These requests are being answered: one row for each address among them. Index: reset_requests_pkey. Locks: their rows.
DELETE FROM reset_requests WHERE request_id = ANY ($1::uuid[]) RETURNING email;
