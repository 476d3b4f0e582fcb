-- Mails that wait for the mail server, and for a while those that were sent or given up: without their content, which is
-- encrypted while they wait.
CREATE TABLE mails (
    mail_id uuid PRIMARY KEY,
    text text COLLATE "C" NOT NULL,
    closed bytea,
    at_ms bigint NOT NULL,
    -- Not sent any more from this instant on: what it says would not be true.
    expires_at_ms bigint NOT NULL,
    ended_at_ms bigint,
    outcome text COLLATE "C" CHECK (outcome IN ('sent', 'refused', 'expired')),
    CHECK ((ended_at_ms IS NULL) = (outcome IS NULL) AND (closed IS NULL) = (outcome IS NOT NULL))
);
CREATE INDEX mails_at ON mails (at_ms);
