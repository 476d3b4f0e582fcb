-- take_queued --
-- The oldest queued leaves, at most $1, in the order in which they were queued; they are gone from the queue.
-- Index: ledger_queue_pkey. Locks: the rows; only one transaction at a time takes.
WITH taken AS (
    DELETE FROM ledger_queue WHERE queue_id IN (SELECT queue_id FROM ledger_queue ORDER BY queue_id LIMIT $1)
    RETURNING queue_id, leaf, parties
)
SELECT leaf, parties FROM taken ORDER BY queue_id;

-- read_newest --
-- The newest checkpoint; 0 or 1 row. Index: ledger_checkpoints_pkey, backward.
SELECT tree_size, root_hash, note, at_ms FROM ledger_checkpoints ORDER BY tree_size DESC LIMIT 1;

-- read_checkpoint --
-- The checkpoint of a tree size; 0 or 1 row. Index: ledger_checkpoints_pkey.
SELECT tree_size, root_hash, note, at_ms FROM ledger_checkpoints WHERE tree_size = $1;

-- insert_checkpoint --
-- Nothing.
INSERT INTO ledger_checkpoints (tree_size, root_hash, note, at_ms) VALUES ($1, $2, $3, $4);

-- read_checkpoints --
-- Checkpoints of sizes from $1 to $2, ascending, at most $3. Index: ledger_checkpoints_pkey.
SELECT tree_size, root_hash, note, at_ms FROM ledger_checkpoints
WHERE tree_size BETWEEN $1 AND $2 ORDER BY tree_size LIMIT $3;

-- read_tiles --
-- Those of some tiles that exist. Index: ledger_tiles_pkey, a probe for each.
SELECT t.level, t.tile_index, t.hashes
FROM unnest($1::smallint[], $2::bigint[]) AS wanted (level, tile_index)
JOIN ledger_tiles AS t ON t.level = wanted.level AND t.tile_index = wanted.tile_index;

-- write_tiles --
-- Nothing. Write tiles that are new or have grown. Index: ledger_tiles_pkey.
INSERT INTO ledger_tiles (level, tile_index, hashes)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
ON CONFLICT (level, tile_index) DO UPDATE SET hashes = excluded.hashes;

-- read_entries --
-- Entries from index $1 on, ascending, at most $2. Index: ledger_entries_pkey.
SELECT leaf_index, leaf, parties FROM ledger_entries WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2;

-- read_proven --
-- The first entry whose parties were not sent its proof. One row.
SELECT next_index FROM ledger_proven;

-- move_proven --
-- Nothing. The parties of entries below $1 were sent their proofs.
UPDATE ledger_proven SET next_index = $1;
