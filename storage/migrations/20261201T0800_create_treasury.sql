-- What is known of the books without reading them again: their totals, and how far transfers were added up once more.

CREATE TABLE treasury_state (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    checked_at_ms bigint NOT NULL DEFAULT 0,
    totals jsonb NOT NULL DEFAULT '[]',
    -- The account after which the audit goes on, and when it last came to the end of all.
    audited_account bigint NOT NULL DEFAULT 0,
    audited_at_ms bigint NOT NULL DEFAULT 0
);
INSERT INTO treasury_state DEFAULT VALUES;

-- The sum of an account's first entries, added from its transfers.
CREATE TABLE account_checks (
    account_id bigint PRIMARY KEY,
    number bigint NOT NULL,
    balance_minor numeric NOT NULL
);

-- Accounts whose balance is not the sum of their transfers.
CREATE TABLE account_faults (
    account_id bigint PRIMARY KEY,
    expected_minor numeric NOT NULL,
    found_at_ms bigint NOT NULL
);

-- Each sets itself again.
INSERT INTO timers (due_at_ms, kind, ref) VALUES
    (0, 'check_treasury', '00000000-0000-0000-0000-000000000000'),
    (0, 'audit_accounts', '00000000-0000-0000-0000-000000000000');
