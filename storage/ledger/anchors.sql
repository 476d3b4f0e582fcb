-- read_open --
-- The anchor that is on its way; 0 or 1 row. Index: ledger_anchors_on_the_way.
SELECT anchor_id, tree_size, root_hash, chain_id, contract, status, nonce, transaction, block, started_at_ms, changed_at_ms
FROM ledger_anchors WHERE status IN ('sent', 'mined');

-- read_sends --
-- The transactions of an anchor, in the order in which they were signed. Index: ledger_anchor_sends_anchor.
SELECT transaction, raw, fee_most, fee_tip, at_ms FROM ledger_anchor_sends WHERE anchor_id = $1 ORDER BY at_ms, fee_most;

-- read_done --
-- The final anchor of the largest tree; 0 or 1 row. Index: ledger_anchors_final, backward.
SELECT anchor_id, tree_size, root_hash, chain_id, contract, status, nonce, transaction, block, started_at_ms, changed_at_ms
FROM ledger_anchors WHERE status = 'anchored' ORDER BY tree_size DESC, anchor_id DESC LIMIT 1;

-- read_covering --
-- The final anchor of the smallest tree of at least $1 entries; 0 or 1 row. Index: ledger_anchors_final.
SELECT anchor_id, tree_size, root_hash, chain_id, contract, status, nonce, transaction, block, started_at_ms, changed_at_ms
FROM ledger_anchors WHERE status = 'anchored' AND tree_size >= $1 ORDER BY tree_size, anchor_id LIMIT 1;

-- read_chain --
-- When a node was asked, and what stands in the way. One row.
SELECT looked_at_ms, problem, detail, problem_at_ms FROM ledger_chain;

-- read_uncovered_at --
-- When the first checkpoint of more than $1 entries was signed; 0 or 1 row. Index: ledger_checkpoints_pkey.
SELECT at_ms FROM ledger_checkpoints WHERE tree_size > $1 ORDER BY tree_size LIMIT 1;

-- insert_anchor --
-- The new anchor's id. Locks: the one place of an anchor on its way; fails when it is taken.
INSERT INTO ledger_anchors
(tree_size, root_hash, chain_id, contract, status, nonce, started_at_ms, changed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING anchor_id;

-- insert_send --
-- Nothing.
INSERT INTO ledger_anchor_sends (transaction, anchor_id, raw, fee_most, fee_tip, at_ms) VALUES ($2, $1, $3, $4, $5, $6);

-- change_anchor --
-- Nothing. Index: ledger_anchors_pkey. Locks: the row.
UPDATE ledger_anchors SET status = $2, reason = $3, transaction = $4, block = $5, changed_at_ms = $6 WHERE anchor_id = $1;

-- fail_anchor --
-- Nothing. Index: ledger_anchors_pkey. Locks: the row.
UPDATE ledger_anchors SET status = 'failed', reason = $2, changed_at_ms = $3 WHERE anchor_id = $1;

-- note_look --
-- Nothing. A node was asked, and nothing stands in the way.
UPDATE ledger_chain SET looked_at_ms = $1, problem = NULL, detail = '';

-- note_problem --
-- Nothing. What stands in the way at $3; the same as before began when it began.
UPDATE ledger_chain SET
    problem_at_ms = CASE WHEN problem IS NULL THEN $3 ELSE problem_at_ms END, problem = $1, detail = $2;
