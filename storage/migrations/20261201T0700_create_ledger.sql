-- The transparency log: leaves that wait for a place, entries, the tree over them in tiles, its signed checkpoints.

-- Written in the transaction of what happened; a worker takes the rows in their order and deletes them as it makes
-- entries of them. `parties`: who may read the leaf.
CREATE TABLE ledger_queue (
    queue_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    leaf bytea NOT NULL CHECK (octet_length(leaf) <= 65535),
    parties uuid[] NOT NULL
);

-- `leaf_index`: 0, 1, 2 … without a gap.
CREATE TABLE ledger_entries (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    leaf bytea NOT NULL,
    parties uuid[] NOT NULL
);
CREATE TRIGGER ledger_entries_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Tile `tile_index` of a level: up to 256 hashes of 32 bytes. The last ones of each level grow. Hashes do not compress.
CREATE TABLE ledger_tiles (
    level smallint,
    tile_index bigint,
    hashes bytea NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (level, tile_index)
);
ALTER TABLE ledger_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- `note`: the signed text, as it is served.
CREATE TABLE ledger_checkpoints (
    tree_size bigint PRIMARY KEY CHECK (tree_size >= 0),
    root_hash bytea NOT NULL CHECK (octet_length(root_hash) = 32),
    note text NOT NULL,
    at_ms bigint NOT NULL
);
CREATE TRIGGER ledger_checkpoints_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One row: the first entry whose parties were not sent its proof.
CREATE TABLE ledger_proven (next_index bigint NOT NULL);
INSERT INTO ledger_proven VALUES (0);

-- One row: how far the auditor has got in its pass. `frontier`: the perfect subtrees of what it has read, left to right.
CREATE TABLE ledger_audit (
    pass_number bigint NOT NULL,
    next_index bigint NOT NULL,
    frontier bytea NOT NULL,
    checkpoint_size bigint NOT NULL,
    started_at_ms bigint NOT NULL,
    passed_at_ms bigint NOT NULL
);
INSERT INTO ledger_audit VALUES (1, 0, '', -1, 0, 0);

-- What the auditor found that does not fit, of this pass and the one before.
CREATE TABLE ledger_differences (
    part text COLLATE "C",
    place bigint,
    detail text NOT NULL,
    pass_number bigint NOT NULL,
    found_at_ms bigint NOT NULL,
    PRIMARY KEY (part, place)
);

-- The newest checkpoint of each log that this installation has witnessed.
CREATE TABLE ledger_witnessed (
    origin text COLLATE "C" PRIMARY KEY,
    tree_size bigint NOT NULL,
    root_hash bytea NOT NULL,
    note text NOT NULL,
    at_ms bigint NOT NULL
);
