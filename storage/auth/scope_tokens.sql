-- insert_scope_token --
-- Note a token that is about to be handed out.
INSERT INTO scope_tokens (token_id, user_id, session_id, access_version, label, channels, created_at_ms, expires_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- list_scope_tokens --
-- A user's tokens that are good at $2: not taken back, not expired, of a session that lives and of the roles of now; the
-- newest first, at most $3. Index: scope_tokens_live, sessions_pkey.
SELECT t.token_id, t.label, t.channels, t.created_at_ms, t.expires_at_ms
FROM scope_tokens AS t
JOIN sessions AS s USING (session_id)
JOIN users AS u ON u.user_id = t.user_id AND u.access_version = t.access_version
WHERE t.user_id = $1 AND t.ended_at_ms IS NULL AND t.expires_at_ms > $2
  AND s.ended_at_ms IS NULL AND s.expires_at_ms > $2
ORDER BY t.token_id DESC LIMIT $3;

-- end_scope_token --
-- Take one of a user's tokens back. Returns its id, or no row when it is not theirs or is over. Locks: its row.
UPDATE scope_tokens SET ended_at_ms = $3, ended_in = pg_current_xact_id()
WHERE token_id = $2 AND user_id = $1 AND ended_at_ms IS NULL AND expires_at_ms > $3
RETURNING token_id;

-- read_lender --
-- The access version of a token's issuer, and whether the token was taken back; no row when its session does not live at $2.
-- Index: scope_tokens_pkey, sessions_pkey. Locks: none.
SELECT u.access_version, t.ended_at_ms IS NOT NULL AS is_over
FROM scope_tokens AS t
JOIN sessions AS s ON s.session_id = t.session_id
JOIN users AS u ON u.user_id = t.user_id
WHERE t.token_id = $1 AND s.ended_at_ms IS NULL AND s.expires_at_ms > $2;

-- delete_old_scope_tokens --
-- Forget tokens that expired before $1, at most $2; one row for each. Index: scope_tokens_expires. Locks: their rows.
DELETE FROM scope_tokens WHERE token_id IN (
    SELECT token_id FROM scope_tokens WHERE expires_at_ms < $1 ORDER BY expires_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING 1;
