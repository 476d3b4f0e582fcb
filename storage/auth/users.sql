-- insert_user --
-- Add a user. Returns one row, or none when the address is taken. Index: users_email_key. Locks: the new row.
INSERT INTO users (user_id, email, password_hash, display_name, created_at_ms)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (email) DO NOTHING
RETURNING user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set;

-- insert_missing_users --
-- Add users with one password hash ($3) whose addresses are not taken. No rows. Index: users_email_key. Locks: new rows.
INSERT INTO users (user_id, email, password_hash, display_name, created_at_ms)
SELECT n.user_id, n.email, $3, n.display_name, $5
FROM unnest($1::uuid[], $2::text[], $4::text[]) AS n (user_id, email, display_name)
ON CONFLICT (email) DO NOTHING;

-- read_user_by_email --
-- A user by normalised address. At most one row. Index: users_email_key. Locks: none.
SELECT user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set
FROM users WHERE email = $1;

-- read_user --
-- A user by id. At most one row. Index: users_pkey. Locks: none.
SELECT user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set
FROM users WHERE user_id = $1;

-- find_existing --
-- Which of these ids are users'. One row each. Index: users_pkey.
SELECT user_id FROM users WHERE user_id = ANY($1::uuid[]);

-- share_user --
-- A user by id, who cannot be banned or change before we commit. At most one row. Index: users_pkey. Locks: row, shared.
SELECT user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set
FROM users WHERE user_id = $1 FOR SHARE;

-- change_roles --
-- Give a user these roles; tokens signed before are refused from now on. At most one row. Locks: the row.
UPDATE users
SET roles = $2, access_version = access_version + 1,
    access_changed_at_ms = $3, access_changed_in = pg_current_xact_id()
WHERE user_id = $1
RETURNING user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set;

-- change_ban --
-- Ban a user ($2 an instant) or lift the ban ($2 null). At most one row. Index: users_pkey. Locks: the row.
UPDATE users
SET banned_at_ms = $2, ban_reason = $3
WHERE user_id = $1
RETURNING user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set;

-- replace_password_hash --
-- Another hash ($3) in place of one ($2). 0 or 1 row. Index: users_pkey. Locks: the row until commit.
UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2 RETURNING 1;

-- lock_user --
-- A user by id, alone with whoever changes the account. At most one row. Index: users_pkey. Locks: the row.
SELECT user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set
FROM users WHERE user_id = $1 FOR NO KEY UPDATE;

-- list_by_email --
-- Users by normalised addresses, each locked. One row each. Index: users_email_key. Locks: the rows, in order of ids.
SELECT user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set
FROM users WHERE email = ANY ($1::text[]) ORDER BY user_id FOR NO KEY UPDATE;

-- change_password --
-- Nothing. Another password. Index: users_pkey. Locks: the row.
UPDATE users SET password_hash = $2, password_set = true WHERE user_id = $1;

-- verify_email --
-- Nothing. The address is the user's, since $2 unless it was before. Index: users_pkey. Locks: the row.
UPDATE users SET email_verified_at_ms = coalesce(email_verified_at_ms, $2) WHERE user_id = $1;

-- change_email --
-- Nothing. Another address, which is the user's. Raises unique_violation on users_email_key. Locks: the row.
UPDATE users SET email = $2, email_verified_at_ms = $3 WHERE user_id = $1;

-- describe_user --
-- What a user says of themselves, where it is given (not null). One row. Index: users_pkey. Locks: the row.
UPDATE users
SET display_name = coalesce($2, display_name), bio = coalesce($3, bio),
    locale = coalesce($4, locale), time_zone = coalesce($5, time_zone)
WHERE user_id = $1
RETURNING user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set;

-- insert_member --
-- Add a user whom a provider brings: no password is known. One row, or none when the address is taken. Index:
-- users_email_key. Locks: the new row.
INSERT INTO users (user_id, email, password_hash, display_name, created_at_ms, email_verified_at_ms, password_set)
VALUES ($1, $2, $3, $4, $5, $6, false)
ON CONFLICT (email) DO NOTHING
RETURNING user_id, email, display_name, roles, access_version, banned_at_ms, password_hash,
       email_verified_at_ms, bio, locale, time_zone, created_at_ms, password_set;
