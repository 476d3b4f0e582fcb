-- find_device --
-- Which of these markers the account of an address knows, at most one. Index: users_email_key, known_devices_pkey.
SELECT marker_hash FROM known_devices JOIN users USING (user_id)
WHERE email = $1 AND marker_hash = ANY($2::bytea[]) LIMIT 1;

-- touch_device --
-- One of these markers was used at $3. Returns it, or no row when the user knows none. Index: known_devices_pkey. Locks: rows.
UPDATE known_devices SET used_at_ms = greatest(used_at_ms, $3)
WHERE user_id = $1 AND marker_hash = ANY($2::bytea[]) RETURNING marker_hash;

-- insert_device --
-- Know a new marker. Returns nothing.
INSERT INTO known_devices (user_id, marker_hash, used_at_ms) VALUES ($1, $2, $3);

-- delete_surplus_devices --
-- Forget a user's markers beyond the $2 most lately used. Returns nothing. Index: known_devices_pkey. Locks: their rows.
DELETE FROM known_devices WHERE user_id = $1 AND marker_hash IN (
    SELECT marker_hash FROM known_devices WHERE user_id = $1 ORDER BY used_at_ms DESC, marker_hash OFFSET $2
);

-- delete_old_devices --
-- Forget markers last used before $1, at most $2; one row for each. Index: known_devices_used. Locks: their rows.
DELETE FROM known_devices WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM known_devices WHERE used_at_ms < $1 ORDER BY used_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
))
RETURNING 1;
