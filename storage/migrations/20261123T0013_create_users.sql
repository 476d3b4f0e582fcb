-- Users and their sessions: who may sign in, and which sessions live.
-- `…_in` is the transaction of a change: server processes read changes in that order and miss none (decision 0010).

CREATE TABLE users (
    user_id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    display_name text NOT NULL,
    roles text[] NOT NULL DEFAULT '{user}',
    -- Raised whenever roles change; access tokens carry it, and those with a lower one are refused.
    access_version int NOT NULL DEFAULT 1,
    access_changed_at_ms bigint,
    access_changed_in xid8,
    banned_at_ms bigint,
    ban_reason text NOT NULL DEFAULT '',
    created_at_ms bigint NOT NULL
);
CREATE INDEX users_access_changed ON users (access_changed_in) WHERE access_changed_in IS NOT NULL;

CREATE TABLE sessions (
    session_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    -- The counter of the one refresh token that is current.
    counter bigint NOT NULL DEFAULT 0,
    rotated_at_ms bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL,
    remote_ip text NOT NULL DEFAULT '',
    ended_at_ms bigint,
    ended_because text,
    ended_in xid8,
    CHECK ((ended_at_ms IS NULL) = (ended_in IS NULL) AND (ended_at_ms IS NULL) = (ended_because IS NULL))
);
CREATE INDEX sessions_live ON sessions (user_id, rotated_at_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX sessions_ended ON sessions (ended_in) WHERE ended_in IS NOT NULL;
CREATE INDEX sessions_expires ON sessions (expires_at_ms);
