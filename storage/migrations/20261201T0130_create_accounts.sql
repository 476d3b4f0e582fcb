-- Double entry: accounts, the transfers between them, and the holds on what users may spend.

-- `balance_minor`: credits less debits. `entries`: how many transfers touched the account, the number of its last entry.
-- The market's own accounts (owner zero) have one row per stripe, so that processes do not wait for each other; their
-- balance is the sum.
CREATE TABLE accounts (
    account_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    purpose text COLLATE "C" NOT NULL,
    stripe smallint NOT NULL DEFAULT 0,
    balance_minor bigint NOT NULL DEFAULT 0,
    entries bigint NOT NULL DEFAULT 0,
    frozen boolean NOT NULL DEFAULT false,
    UNIQUE (owner_id, currency, purpose, stripe),
    CHECK (purpose IN ('available', 'held', 'escrow', 'payable', 'receivable', 'commission', 'tax', 'exchange', 'external')),
    CONSTRAINT accounts_limit_check CHECK (
        CASE purpose
            WHEN 'receivable' THEN balance_minor <= 0
            WHEN 'commission' THEN true WHEN 'tax' THEN true WHEN 'exchange' THEN true WHEN 'external' THEN true
            ELSE balance_minor >= 0
        END
    ),
    CONSTRAINT accounts_size_check CHECK (abs(balance_minor) <= 9007199254740991)
) WITH (fillfactor = 70);

-- One row per movement, never changed. Each account's side carries the number of the entry there and the balance after it.
-- Accounts are never deleted, so no foreign key is paid for.
CREATE TABLE transfers (
    transfer_id uuid PRIMARY KEY,
    debit_account bigint NOT NULL,
    credit_account bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    reason text COLLATE "C" NOT NULL,
    ref uuid NOT NULL,
    at_ms bigint NOT NULL,
    debit_number bigint NOT NULL,
    debit_balance_minor bigint NOT NULL,
    credit_number bigint NOT NULL,
    credit_balance_minor bigint NOT NULL,
    hold_id uuid,
    CHECK (debit_account <> credit_account)
);
CREATE UNIQUE INDEX transfers_debit ON transfers (debit_account, debit_number);
CREATE UNIQUE INDEX transfers_credit ON transfers (credit_account, credit_number);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER transfers_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE holds (
    hold_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    ref uuid NOT NULL,
    at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('held', 'posted', 'voided', 'expired')),
    posted_minor bigint NOT NULL DEFAULT 0 CHECK (posted_minor BETWEEN 0 AND amount_minor)
);
CREATE INDEX holds_open ON holds (owner_id, hold_id) WHERE status = 'held';
