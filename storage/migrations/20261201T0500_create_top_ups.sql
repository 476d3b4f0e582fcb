-- Money that comes in by card, and the built-in provider that stands in for a real one.

-- `reference` is the provider's name of it, empty until an answer of the provider is known; `entry` what its books call it. `checks`: how often a silent
-- provider was asked again.
CREATE TABLE top_ups (
    top_up_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users,
    currency text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    status text COLLATE "C" NOT NULL CHECK (status IN (
        'created', 'requires_action', 'processing', 'succeeded', 'failed', 'canceled', 'refunded'
    )),
    method_id uuid,
    reference text COLLATE "C" NOT NULL DEFAULT '',
    entry text COLLATE "C" NOT NULL DEFAULT '',
    failure text NOT NULL DEFAULT '',
    transfer_id uuid NOT NULL,
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND amount_minor),
    checks smallint NOT NULL DEFAULT 0,
    needs_review boolean NOT NULL DEFAULT false,
    created_at_ms bigint NOT NULL,
    booked_at_ms bigint
);
CREATE INDEX top_ups_owner ON top_ups (owner_id, top_up_id);
CREATE UNIQUE INDEX top_ups_reference ON top_ups (reference) WHERE reference <> '';
CREATE INDEX top_ups_booked ON top_ups (booked_at_ms) WHERE booked_at_ms IS NOT NULL;

-- `take_id` moved the money to `payable`; null where it never was the owner's (paid after it was canceled).
CREATE TABLE refunds (
    refund_id uuid PRIMARY KEY,
    top_up_id uuid NOT NULL REFERENCES top_ups,
    owner_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    status text COLLATE "C" NOT NULL CHECK (status IN ('created', 'processing', 'succeeded', 'failed')),
    reference text COLLATE "C" NOT NULL DEFAULT '',
    failure text NOT NULL DEFAULT '',
    take_id uuid,
    end_id uuid NOT NULL,
    checks smallint NOT NULL DEFAULT 0,
    needs_review boolean NOT NULL DEFAULT false,
    created_at_ms bigint NOT NULL,
    booked_at_ms bigint
);
CREATE INDEX refunds_top_up ON refunds (top_up_id);
CREATE UNIQUE INDEX refunds_reference ON refunds (reference) WHERE reference <> '';
CREATE INDEX refunds_booked ON refunds (booked_at_ms) WHERE booked_at_ms IS NOT NULL;

CREATE TABLE provider_customers (
    owner_id uuid PRIMARY KEY REFERENCES users,
    reference text NOT NULL
);

CREATE TABLE payment_methods (
    method_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users,
    token text NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'active', 'removed')),
    reference text NOT NULL DEFAULT '',
    brand text NOT NULL DEFAULT '',
    last4 text NOT NULL DEFAULT '',
    expires text NOT NULL DEFAULT '',
    created_at_ms bigint NOT NULL
);
CREATE INDEX payment_methods_owner ON payment_methods (owner_id, method_id);

-- The built-in provider's own books. `parent`: the payment of a refund or dispute, the customer of a card, the account of a
-- payout.
CREATE TABLE test_objects (
    object_id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('payment', 'refund', 'dispute', 'method', 'account', 'payout')),
    own_id uuid,
    parent text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    failure text NOT NULL,
    word text NOT NULL,
    secret text NOT NULL,
    at_ms bigint NOT NULL
);
CREATE UNIQUE INDEX test_objects_own ON test_objects (kind, own_id);
CREATE UNIQUE INDEX test_objects_secret ON test_objects (secret) WHERE secret <> '';

CREATE TABLE test_movements (
    movement_id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    source text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    at_ms bigint NOT NULL
);
CREATE INDEX test_movements_at ON test_movements (at_ms);

CREATE TABLE test_events (
    event_id uuid PRIMARY KEY,
    type text NOT NULL,
    object text NOT NULL,
    reference text NOT NULL,
    own_id uuid,
    payment text NOT NULL,
    at_ms bigint NOT NULL
);

-- `created`: the provider was not asked yet. `take_id`, `owe_id`: what was taken of the wallet, and what became a debt.
CREATE TABLE disputes (
    dispute_id uuid PRIMARY KEY,
    reference text COLLATE "C" NOT NULL UNIQUE,
    top_up_id uuid NOT NULL REFERENCES top_ups,
    status text COLLATE "C" NOT NULL CHECK (status IN ('created', 'open', 'won', 'lost')),
    amount_minor bigint NOT NULL,
    take_id uuid NOT NULL,
    owe_id uuid NOT NULL,
    return_id uuid NOT NULL,
    created_at_ms bigint NOT NULL,
    booked_at_ms bigint
);
CREATE INDEX disputes_top_up ON disputes (top_up_id);
CREATE INDEX disputes_booked ON disputes (booked_at_ms) WHERE booked_at_ms IS NOT NULL;

-- What the provider told us, before anything is made of it. `row_id` is what the timer that works on it names.
CREATE TABLE provider_events (
    event_id text PRIMARY KEY,
    row_id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    object text NOT NULL,
    reference text NOT NULL,
    own_id uuid,
    payment text NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('stored', 'done', 'ignored', 'unmatched')),
    attempts smallint NOT NULL DEFAULT 0,
    at_ms bigint NOT NULL
);
CREATE INDEX provider_events_at ON provider_events (at_ms);
