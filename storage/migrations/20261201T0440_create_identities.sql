-- Who an account is to other sign-in providers: the issuer and its subject, never the address.
CREATE TABLE identities (
    identity_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    provider text COLLATE "C" NOT NULL,
    issuer text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    email text NOT NULL,
    at_ms bigint NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id, identity_id);

-- False: the account was made by a provider, and nobody knows its password.
ALTER TABLE users ADD COLUMN password_set boolean NOT NULL DEFAULT true;
