-- Anchors: states of the log on a chain. One at most is on its way.

-- `status`: sent (signed, in no block), mined (in a block that may vanish), anchored (final), failed (for `reason`).
-- `nonce`, `transaction`, `block`: null where somebody else with the key wrote it.
CREATE TABLE ledger_anchors (
    anchor_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tree_size bigint NOT NULL CHECK (tree_size > 0),
    root_hash bytea NOT NULL CHECK (octet_length(root_hash) = 32),
    chain_id bigint NOT NULL,
    contract text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('sent', 'mined', 'anchored', 'failed')),
    reason text,
    nonce bigint,
    transaction text COLLATE "C",
    block bigint,
    started_at_ms bigint NOT NULL,
    changed_at_ms bigint NOT NULL
);
CREATE UNIQUE INDEX ledger_anchors_on_the_way ON ledger_anchors ((true)) WHERE status IN ('sent', 'mined');
CREATE INDEX ledger_anchors_final ON ledger_anchors (tree_size, anchor_id) WHERE status = 'anchored';

-- Every transaction that was signed for an anchor, also those that another one replaced: any of them may be mined.
CREATE TABLE ledger_anchor_sends (
    transaction text COLLATE "C" PRIMARY KEY,
    anchor_id bigint NOT NULL REFERENCES ledger_anchors,
    raw bytea NOT NULL,
    fee_most numeric(30) NOT NULL,
    fee_tip numeric(30) NOT NULL,
    at_ms bigint NOT NULL
);
CREATE INDEX ledger_anchor_sends_anchor ON ledger_anchor_sends (anchor_id, at_ms);

-- One row: when a node was asked last, and what stands in the way since when.
CREATE TABLE ledger_chain (
    looked_at_ms bigint NOT NULL,
    problem text,
    detail text NOT NULL,
    problem_at_ms bigint NOT NULL
);
INSERT INTO ledger_chain VALUES (0, NULL, '', 0);
