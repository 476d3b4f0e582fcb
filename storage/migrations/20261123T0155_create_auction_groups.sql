-- Lots that close together, and the increment tables of currencies.

-- Open lots of one seller with the same group close together: an extension of one moves the ends of the others.
ALTER TABLE auctions ADD COLUMN group_id uuid;
CREATE INDEX auctions_group ON auctions (seller_id, group_id)
WHERE group_id IS NOT NULL AND status IN ('scheduled', 'live');

-- Append-only: the increment tables of currencies. The newest version is the default of auctions opened from then on; an
-- open auction keeps the table in its own row.
CREATE TABLE increment_tables (
    currency text NOT NULL CHECK (length(currency) = 3),
    version int NOT NULL CHECK (version > 0),
    step_limits bigint[] NOT NULL,
    steps bigint[] NOT NULL CHECK (cardinality(steps) = cardinality(step_limits) + 1),
    set_by uuid NOT NULL,
    set_at_ms bigint NOT NULL,
    PRIMARY KEY (currency, version)
);
