-- Scope tokens that were made: what their issuer sees of them, and whether one was taken back. The token itself is not kept.
-- `ended_in` is the transaction that took it back: server processes read ends in that order and miss none (decision 0010).
CREATE TABLE scope_tokens (
    token_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    session_id uuid NOT NULL,
    access_version int NOT NULL,
    label text NOT NULL CHECK (length(label) <= 80),
    channels text[] NOT NULL CHECK (cardinality(channels) BETWEEN 1 AND 32),
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL,
    ended_at_ms bigint,
    ended_in xid8,
    CHECK ((ended_at_ms IS NULL) = (ended_in IS NULL))
);
CREATE INDEX scope_tokens_live ON scope_tokens (user_id, token_id) WHERE ended_at_ms IS NULL;
CREATE INDEX scope_tokens_ended ON scope_tokens (ended_in) WHERE ended_in IS NOT NULL;
CREATE INDEX scope_tokens_expires ON scope_tokens (expires_at_ms);
