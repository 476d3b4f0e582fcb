-- put_totp --
-- One row: another secret of a user, until now unproven; none when a proven one is there. Index: totp_factors_pkey. Locks:
-- the row.
INSERT INTO totp_factors (user_id, closed) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET closed = excluded.closed, last_step = 0
WHERE totp_factors.confirmed_at_ms IS NULL
RETURNING 1;

-- lock_totp --
-- A user's secret. At most one row. Index: totp_factors_pkey. Locks: the row, so that of two uses of a code one is first.
SELECT closed, last_step, confirmed_at_ms FROM totp_factors WHERE user_id = $1 FOR UPDATE;

-- has_totp --
-- Whether a user has a proven secret. One row. Index: totp_factors_pkey. Locks: none.
SELECT EXISTS (SELECT FROM totp_factors WHERE user_id = $1 AND confirmed_at_ms IS NOT NULL);

-- confirm_totp --
-- Nothing. The secret is proven at $2. Index: totp_factors_pkey. Locks: the row.
UPDATE totp_factors SET confirmed_at_ms = $2 WHERE user_id = $1;

-- use_step --
-- Nothing. The code of a step was taken. Index: totp_factors_pkey. Locks: the row.
UPDATE totp_factors SET last_step = $2 WHERE user_id = $1;

-- delete_totp --
-- Nothing. A user's secret goes. Index: totp_factors_pkey. Locks: the row.
DELETE FROM totp_factors WHERE user_id = $1;

-- delete_recovery_codes --
-- Nothing. A user's codes go. Index: recovery_codes_pkey. Locks: their rows.
DELETE FROM recovery_codes WHERE user_id = $1;

-- insert_recovery_codes --
-- Nothing. Locks: the new rows.
INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, unnest($2::bytea[]);

-- use_recovery_code --
-- The code is used: one row, or none when it is not the user's. Index: recovery_codes_pkey. Locks: the row.
DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2 RETURNING 1;

-- insert_challenge --
-- Nothing. Locks: the new row.
INSERT INTO sign_in_challenges (challenge_hash, user_id, expires_at_ms) VALUES ($1, $2, $3);

-- read_challenge --
-- Whose live challenge this is, and with which address. At most one row. Index: sign_in_challenges_pkey. Locks: none.
SELECT c.user_id, u.email FROM sign_in_challenges AS c JOIN users AS u USING (user_id)
WHERE c.challenge_hash = $1 AND c.expires_at_ms > $2;

-- count_try --
-- A code is shown for a challenge: one row, or none when it is not live at $3 or $4 were shown. Index:
-- sign_in_challenges_pkey. Locks: the row, so that of two codes one is first.
UPDATE sign_in_challenges SET tries = tries + 1
WHERE challenge_hash = $1 AND user_id = $2 AND expires_at_ms > $3 AND tries < $4 RETURNING 1;

-- delete_challenge --
-- Nothing. The challenge is used. Index: sign_in_challenges_pkey. Locks: the row.
DELETE FROM sign_in_challenges WHERE challenge_hash = $1;

-- delete_challenges --
-- Nothing. No sign-in of a user that has begun can be completed. Index: sign_in_challenges_user. Locks: their rows.
DELETE FROM sign_in_challenges WHERE user_id = $1;

-- delete_old_challenges --
-- Forget challenges that expired before $1, at most $2; one row for each. Index: sign_in_challenges_expires. Locks: rows.
DELETE FROM sign_in_challenges WHERE challenge_hash IN (
    SELECT challenge_hash FROM sign_in_challenges WHERE expires_at_ms < $1 ORDER BY expires_at_ms LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING 1;
