-- Money that waits for the end of a deal. The row is what a freeze and every release lock: who comes second sees the first.

-- `version`: the number of the last step. `frozen_at_ms`: since when a dispute stops it; `ends_at_ms` moves on when it ends.
CREATE TABLE escrows (
    escrow_id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('auction', 'sale', 'delivery')),
    ref uuid NOT NULL,
    payer_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 9007199254740991),
    released_minor bigint NOT NULL DEFAULT 0 CHECK (released_minor >= 0),
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    status text COLLATE "C" NOT NULL,
    commission_version integer NOT NULL,
    opened_at_ms bigint NOT NULL,
    ends_at_ms bigint NOT NULL,
    frozen_at_ms bigint,
    version integer NOT NULL,
    CONSTRAINT escrows_status_check CHECK (
        CASE status
            WHEN 'open' THEN released_minor + refunded_minor < amount_minor AND frozen_at_ms IS NULL
            WHEN 'frozen' THEN released_minor + refunded_minor < amount_minor AND frozen_at_ms IS NOT NULL
            WHEN 'released' THEN released_minor = amount_minor AND refunded_minor = 0
            WHEN 'refunded' THEN refunded_minor = amount_minor AND released_minor = 0
            WHEN 'split' THEN released_minor + refunded_minor = amount_minor AND released_minor > 0 AND refunded_minor > 0
            ELSE false
        END
    )
) WITH (fillfactor = 80);

-- What was agreed: how much is for whom. Lines of the market (commission, tax) have no user.
CREATE TABLE escrow_lines (
    escrow_id uuid,
    line smallint,
    role text COLLATE "C" NOT NULL CHECK (role IN ('seller', 'traveller', 'commission', 'tax')),
    user_id uuid,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    released_minor bigint NOT NULL DEFAULT 0 CHECK (released_minor >= 0),
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    PRIMARY KEY (escrow_id, line),
    CHECK (released_minor + refunded_minor <= amount_minor),
    CHECK ((user_id IS NULL) = (role IN ('commission', 'tax')))
) WITH (fillfactor = 80);

CREATE TABLE escrow_parties (
    user_id uuid,
    escrow_id uuid,
    PRIMARY KEY (user_id, escrow_id)
);

-- Every step once, as it was asked for: a repeat is told by its id.
CREATE TABLE escrow_steps (
    step_id uuid PRIMARY KEY,
    escrow_id uuid NOT NULL,
    version integer NOT NULL,
    step text NOT NULL,
    amount_minor bigint NOT NULL,
    at_ms bigint NOT NULL,
    UNIQUE (escrow_id, version)
);
CREATE TRIGGER escrow_steps_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON escrow_steps
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
