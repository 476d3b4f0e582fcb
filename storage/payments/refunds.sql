-- insert_refund --
-- Nothing, also where it is there already. Index: refunds_pkey.
INSERT INTO refunds (refund_id, top_up_id, owner_id, currency, amount_minor, status, take_id, end_id, created_at_ms)
VALUES ($1, $2, $3, $4, $5, 'created', $6, $7, $8) ON CONFLICT DO NOTHING;

-- read_refund --
-- One refund with the payment of its top-up; 0 or 1 row. Index: refunds_pkey, top_ups_pkey.
SELECT r.refund_id, r.top_up_id, r.owner_id, r.currency, r.amount_minor, r.status, r.reference, r.take_id, r.end_id,
       r.checks, r.created_at_ms, t.reference AS payment
FROM refunds AS r JOIN top_ups AS t USING (top_up_id) WHERE r.refund_id = $1;

-- lock_refund --
-- One refund with the payment of its top-up; 0 or 1 row. Index: refunds_pkey, top_ups_pkey. Locks: the refund's row.
SELECT r.refund_id, r.top_up_id, r.owner_id, r.currency, r.amount_minor, r.status, r.reference, r.take_id, r.end_id,
       r.checks, r.created_at_ms, t.reference AS payment
FROM refunds AS r JOIN top_ups AS t USING (top_up_id) WHERE r.refund_id = $1 FOR UPDATE OF r;

-- find_refund --
-- The refund of a reference; 0 or 1 row. Index: refunds_reference.
SELECT refund_id FROM refunds WHERE reference = $1 AND reference <> '';

-- update_refund --
-- Nothing. Index: refunds_pkey.
UPDATE refunds SET status = $2, reference = $3, failure = $4, booked_at_ms = coalesce(booked_at_ms, $5) WHERE refund_id = $1;

-- note_refund_check --
-- Nothing. Index: refunds_pkey.
UPDATE refunds SET checks = $2, needs_review = $3 WHERE refund_id = $1;
