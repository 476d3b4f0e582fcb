-- Money that goes out to banks.
CREATE TABLE payout_accounts (
    account_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL UNIQUE REFERENCES users,
    country text NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'active', 'restricted', 'rejected')),
    reference text COLLATE "C" NOT NULL DEFAULT '',
    created_at_ms bigint NOT NULL
);
CREATE UNIQUE INDEX payout_accounts_reference ON payout_accounts (reference) WHERE reference <> '';

-- `sending` is set before the provider is asked: from then on a payout cannot be taken back. `take_id` moved the money to
-- `payable`, `end_id` books that it left, `return_id` that it came back.
CREATE TABLE payouts (
    payout_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users,
    account_id uuid NOT NULL REFERENCES payout_accounts,
    currency text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    status text COLLATE "C" NOT NULL CHECK (status IN ('created', 'sent', 'paid', 'failed', 'canceled')),
    sending boolean NOT NULL DEFAULT false,
    reference text COLLATE "C" NOT NULL DEFAULT '',
    entry text COLLATE "C" NOT NULL DEFAULT '',
    failure text NOT NULL DEFAULT '',
    take_id uuid NOT NULL,
    end_id uuid NOT NULL,
    return_id uuid NOT NULL,
    checks smallint NOT NULL DEFAULT 0,
    needs_review boolean NOT NULL DEFAULT false,
    created_at_ms bigint NOT NULL,
    sent_at_ms bigint
);
CREATE INDEX payouts_owner ON payouts (owner_id, payout_id);
CREATE UNIQUE INDEX payouts_reference ON payouts (reference) WHERE reference <> '';
CREATE INDEX payouts_sent ON payouts (sent_at_ms) WHERE sent_at_ms IS NOT NULL;
