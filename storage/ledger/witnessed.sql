-- begin_witnessed --
-- Nothing. A log that was never witnessed begins with nothing: its size is 0, its root $2. Index: ledger_witnessed_pkey.
INSERT INTO ledger_witnessed (origin, tree_size, root_hash, note, at_ms) VALUES ($1, 0, $2, '', 0)
ON CONFLICT (origin) DO NOTHING;

-- lock_witnessed --
-- What was seen last of a log; 0 or 1 row. Index: ledger_witnessed_pkey. Locks: the row until commit.
SELECT origin, tree_size, root_hash, note, at_ms FROM ledger_witnessed WHERE origin = $1 FOR UPDATE;

-- write_witnessed --
-- Nothing. Keep what was seen of a log, whose row is locked. Index: ledger_witnessed_pkey.
UPDATE ledger_witnessed SET tree_size = $2, root_hash = $3, note = $4, at_ms = $5 WHERE origin = $1;
