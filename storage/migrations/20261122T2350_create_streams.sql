-- Events, streams, timers, idempotency, inbox: what every domain stands on.
-- Names are compared byte by byte (collation "C"): an index insert then costs no call of the locale.

CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- One row: the epoch of every stream of this database. A new database has a new one, so no client trusts old offsets.
CREATE TABLE database_epoch (
    epoch text PRIMARY KEY DEFAULT substr(md5(random()::text || clock_timestamp()::text), 1, 8)
);
INSERT INTO database_epoch DEFAULT VALUES;

-- The outbox, the channel history and the audit trail at once. `number` is contiguous per stream: the channel offset.
-- `transaction_id` lets the relay read in an order in which no earlier commit can still appear.
CREATE TABLE events (
    stream text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at_ms bigint NOT NULL,
    type text NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (stream, number)
);
CREATE INDEX events_transaction ON events (transaction_id);

-- The newest number of streams whose aggregate has no row of its own to count in (personal streams).
CREATE TABLE streams (
    stream text COLLATE "C" PRIMARY KEY,
    head bigint NOT NULL
);

-- How far the relay has read: everything of transactions below this one has been sent on.
CREATE TABLE relay_position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    transaction_id xid8 NOT NULL DEFAULT '0'
);
INSERT INTO relay_position DEFAULT VALUES;

CREATE TABLE timers (
    timer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    due_at_ms bigint NOT NULL,
    kind text NOT NULL,
    ref uuid NOT NULL,
    attempts int NOT NULL DEFAULT 0
);
CREATE INDEX timers_due ON timers (due_at_ms);

-- One row per keyed command, written in the transaction of its effect; `reply` is the first answer, byte for byte.
CREATE TABLE idempotency (
    user_id uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    reply bytea NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (user_id, key)
);
-- Rows arrive in the order of their instants, so a block range index finds the old ones and costs an insert nothing.
CREATE INDEX idempotency_at ON idempotency USING brin (at_ms);

-- Messages already acted on, written in the transaction of their effect.
CREATE TABLE inbox (
    consumer text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (consumer, message_id)
);
