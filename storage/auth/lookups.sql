-- user_exists --
-- Whether there is a user with this id. One row. Index: users_pkey.
SELECT EXISTS (SELECT FROM users WHERE user_id = $1);
