-- insert_dispute --
-- Nothing where the reference is known already. Rows: dispute_id. Index: disputes_reference_key.
INSERT INTO disputes (dispute_id, reference, top_up_id, status, amount_minor, take_id, owe_id, return_id, created_at_ms)
VALUES ($1, $2, $3, 'created', 0, $4, $5, $6, $7) ON CONFLICT DO NOTHING;

-- find_dispute --
-- The dispute of a reference; 0 or 1 row. Index: disputes_reference_key.
SELECT dispute_id FROM disputes WHERE reference = $1;

-- read_dispute --
-- One dispute; 0 or 1 row. Index: disputes_pkey.
SELECT dispute_id, reference, top_up_id, status, amount_minor, take_id, owe_id, return_id FROM disputes
WHERE dispute_id = $1;

-- lock_dispute --
-- One dispute; 0 or 1 row. Index: disputes_pkey. Locks: the row.
SELECT dispute_id, reference, top_up_id, status, amount_minor, take_id, owe_id, return_id FROM disputes
WHERE dispute_id = $1 FOR UPDATE;

-- update_dispute --
-- Nothing. Index: disputes_pkey.
UPDATE disputes SET status = $2, amount_minor = $3, booked_at_ms = coalesce(booked_at_ms, $4) WHERE dispute_id = $1;

-- is_disputed --
-- Whether a dispute has taken the money of a top-up. Index: disputes_top_up.
SELECT EXISTS (SELECT FROM disputes WHERE top_up_id = $1 AND status IN ('open', 'lost'));
