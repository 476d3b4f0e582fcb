-- user_exists --
-- Whether there is a user with this id. One row. Index: users_pkey.
SELECT EXISTS (SELECT FROM users WHERE user_id = $1);

-- find_shared_addresses --
-- Which of these users have a live session from an address of a live session of another user, and from how many such
-- addresses. At most one row each. Index: sessions_live, one range per user.
SELECT o.user_id, array_agg(DISTINCT o.remote_ip) AS addresses
FROM sessions AS s JOIN sessions AS o ON o.remote_ip = s.remote_ip
WHERE s.user_id = $1 AND s.ended_at_ms IS NULL AND s.remote_ip <> ''
  AND o.user_id = ANY($2::uuid[]) AND o.user_id <> $1 AND o.ended_at_ms IS NULL
GROUP BY o.user_id;

-- read_freshness --
-- When who has a session ($2) last showed a factor, or when the account was made if that is later; and by what it can show
-- one. At most one row. Index: users_pkey, sessions_pkey, totp_factors_pkey. Locks: none.
SELECT greatest(u.created_at_ms, s.fresh_at_ms) AS fresh_at_ms, u.password_set, f.user_id IS NOT NULL AS has_totp
FROM users AS u
LEFT JOIN sessions AS s ON s.session_id = $2 AND s.user_id = u.user_id AND s.ended_at_ms IS NULL
LEFT JOIN totp_factors AS f ON f.user_id = u.user_id AND f.confirmed_at_ms IS NOT NULL
WHERE u.user_id = $1;
