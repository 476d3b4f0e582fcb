-- Our books compared with the provider's, a report for each day (UTC), with every difference.
CREATE TABLE reconciliations (
    report_id uuid PRIMARY KEY,
    day date NOT NULL UNIQUE,
    status text COLLATE "C" NOT NULL CHECK (status IN ('running', 'done')),
    movements int NOT NULL DEFAULT 0,
    differences int NOT NULL DEFAULT 0,
    started_at_ms bigint NOT NULL,
    finished_at_ms bigint
);

-- `provider_minor`, `ours_minor`: what each side has; null where it has nothing.
CREATE TABLE reconciliation_differences (
    report_id uuid NOT NULL REFERENCES reconciliations,
    number int NOT NULL,
    kind text COLLATE "C" NOT NULL,
    source text NOT NULL,
    own_id uuid,
    currency text NOT NULL,
    provider_minor bigint,
    ours_minor bigint,
    PRIMARY KEY (report_id, number)
);

CREATE INDEX top_ups_entry ON top_ups (entry) WHERE entry <> '';
CREATE INDEX payouts_entry ON payouts (entry) WHERE entry <> '';
CREATE INDEX top_ups_review ON top_ups (top_up_id) WHERE needs_review;
CREATE INDEX refunds_review ON refunds (refund_id) WHERE needs_review;
CREATE INDEX payouts_review ON payouts (payout_id) WHERE needs_review;

INSERT INTO timers (due_at_ms, kind, ref) VALUES (0, 'reconcile_days', '00000000-0000-0000-0000-000000000000');
