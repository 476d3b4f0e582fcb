-- insert_session --
-- Add a live session. Locks: the new row, and its user's key share.
INSERT INTO sessions (session_id, user_id, rotated_at_ms, created_at_ms, expires_at_ms, remote_ip, fresh_at_ms)
VALUES ($1, $2, $3, $3, $4, $5, $3);

-- freshen_session --
-- A factor was shown at $3: one row, or none when the session is not live. Index: sessions_pkey. Locks: the row.
UPDATE sessions SET fresh_at_ms = $3
WHERE session_id = $2 AND user_id = $1 AND ended_at_ms IS NULL RETURNING 1;

-- end_surplus_sessions --
-- End a user's live sessions beyond the $2 most lately used. Returns their ids. Index: sessions_live. Locks: their rows.
UPDATE sessions
SET ended_at_ms = $3, ended_because = 'too_many', ended_in = pg_current_xact_id()
WHERE session_id IN (
    SELECT session_id FROM sessions WHERE user_id = $1 AND ended_at_ms IS NULL
    ORDER BY rotated_at_ms DESC, session_id DESC OFFSET $2
    FOR UPDATE
) AND ended_at_ms IS NULL
RETURNING session_id;

-- lock_session --
-- A session by id with its user's roles. At most one row. Index: sessions_pkey. Locks: the session's row, until commit.
SELECT s.session_id, s.user_id, s.counter, s.rotated_at_ms, s.expires_at_ms, s.ended_at_ms, u.roles, u.access_version
FROM sessions AS s JOIN users AS u USING (user_id)
WHERE s.session_id = $1
FOR UPDATE OF s;

-- lock_access --
-- What a user may do through a session that lives at $3. At most one row. Index: sessions_pkey. Locks: the user's row,
-- until commit.
SELECT u.roles, u.access_version, s.expires_at_ms
FROM sessions AS s JOIN users AS u USING (user_id)
WHERE s.session_id = $2 AND s.user_id = $1 AND s.ended_at_ms IS NULL AND s.expires_at_ms > $3
FOR NO KEY UPDATE OF u;

-- rotate_session --
-- Make the next refresh token the current one. The session must be locked. Index: sessions_pkey.
UPDATE sessions SET counter = $2, rotated_at_ms = $3 WHERE session_id = $1;

-- end_session --
-- End one live session of a user. Returns its id, or no row when it is not theirs or has ended. Locks: its row.
UPDATE sessions
SET ended_at_ms = $3, ended_because = $4, ended_in = pg_current_xact_id()
WHERE session_id = $2 AND user_id = $1 AND ended_at_ms IS NULL
RETURNING session_id;

-- end_all_sessions --
-- End every live session of a user but $4 (null: none). Returns their ids. Index: sessions_live. Locks: their rows.
UPDATE sessions
SET ended_at_ms = $2, ended_because = $3, ended_in = pg_current_xact_id()
WHERE user_id = $1 AND ended_at_ms IS NULL AND session_id IS DISTINCT FROM $4
RETURNING session_id;

-- list_sessions --
-- A user's live sessions, the most lately used first, at most $3. Index: sessions_live.
SELECT session_id, created_at_ms, rotated_at_ms, expires_at_ms, remote_ip
FROM sessions
WHERE user_id = $1 AND ended_at_ms IS NULL AND expires_at_ms > $2
ORDER BY rotated_at_ms DESC, session_id DESC
LIMIT $3;

-- read_revocations --
-- Sessions ended, scope tokens taken back and users whose access changed in transactions from $1 on and after the instant
-- $2. At least one row: `horizon`, below which no transaction can still commit; ask from there next time. Indexes:
-- sessions_ended, scope_tokens_ended, users_access_changed. Locks: none.
SELECT now.horizon, change.session_id, change.token_id, change.user_id, change.access_version, change.at_ms
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon) AS now
LEFT JOIN (
    SELECT session_id, NULL::uuid AS token_id, user_id, 0 AS access_version, ended_at_ms AS at_ms
    FROM sessions WHERE ended_in >= $1::bigint::text::xid8 AND ended_at_ms > $2
    UNION ALL
    SELECT NULL, token_id, user_id, 0, ended_at_ms
    FROM scope_tokens WHERE ended_in >= $1::bigint::text::xid8 AND ended_at_ms > $2
    UNION ALL
    SELECT NULL, NULL, user_id, access_version, access_changed_at_ms
    FROM users WHERE access_changed_in >= $1::bigint::text::xid8 AND access_changed_at_ms > $2
) AS change ON true;

-- delete_old_sessions --
-- Forget sessions that expired before $1, at most $2; one row for each. Index: sessions_expires. Locks: their rows.
DELETE FROM sessions WHERE session_id IN (
    SELECT session_id FROM sessions WHERE expires_at_ms < $1 ORDER BY expires_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING 1;
