-- Accounts: what people say of themselves, whether their address is theirs, and the tokens that mails carry.
ALTER TABLE users
    ADD COLUMN email_verified_at_ms bigint,
    ADD COLUMN bio text NOT NULL DEFAULT '',
    ADD COLUMN locale text NOT NULL DEFAULT 'en',
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';

-- Tokens of mails: not the token is kept, only its SHA-256. A used one is deleted.
CREATE TABLE account_tokens (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id uuid NOT NULL REFERENCES users,
    purpose text COLLATE "C" NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'change_email')),
    -- The address it was sent to.
    email text NOT NULL,
    at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL
);
CREATE INDEX account_tokens_user ON account_tokens (user_id, purpose, at_ms);
CREATE INDEX account_tokens_expires ON account_tokens (expires_at_ms);

-- Who asked for a new password, until the worker has looked whether there is such an account.
CREATE TABLE reset_requests (
    request_id uuid PRIMARY KEY,
    email text NOT NULL
);
