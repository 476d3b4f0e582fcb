-- lock_identity --
-- Who an issuer's subject is. At most one row. Index: identities_issuer_subject_key. Locks: the row, shared.
SELECT identity_id, user_id, provider, email, at_ms FROM identities
WHERE issuer = $1 AND subject = $2 FOR SHARE;

-- insert_identity --
-- One row, or none when the identity is somebody's. Index: identities_issuer_subject_key. Locks: the new row.
INSERT INTO identities (identity_id, user_id, provider, issuer, subject, email, at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (issuer, subject) DO NOTHING
RETURNING identity_id;

-- list_identities --
-- A user's identities, the oldest first. Index: identities_user.
SELECT identity_id, user_id, provider, email, at_ms FROM identities WHERE user_id = $1 ORDER BY identity_id;

-- delete_identity --
-- One row, or none when the user has no such identity. Index: identities_pkey. Locks: the row.
DELETE FROM identities WHERE identity_id = $1 AND user_id = $2 RETURNING identity_id;

-- delete_identities --
-- All of a user's identities. Index: identities_user. Locks: the rows.
DELETE FROM identities WHERE user_id = $1 RETURNING identity_id;
