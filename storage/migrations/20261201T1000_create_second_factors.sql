-- Second factors: the secret of an authenticator app, encrypted; codes for who lost it, by their SHA-256; and sign-ins
-- whose password was right and whose code is still to come.
CREATE TABLE totp_factors (
    user_id uuid PRIMARY KEY REFERENCES users,
    closed bytea NOT NULL,
    -- The step of the last code that was taken: a code is good once.
    last_step bigint NOT NULL DEFAULT 0,
    -- Null until a code has shown that the app has the secret.
    confirmed_at_ms bigint
);

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users,
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE sign_in_challenges (
    challenge_hash bytea PRIMARY KEY CHECK (length(challenge_hash) = 32),
    user_id uuid NOT NULL REFERENCES users,
    expires_at_ms bigint NOT NULL,
    -- Codes that were shown for it.
    tries smallint NOT NULL DEFAULT 0
);
CREATE INDEX sign_in_challenges_user ON sign_in_challenges (user_id);
CREATE INDEX sign_in_challenges_expires ON sign_in_challenges (expires_at_ms);
