-- insert_method --
-- Nothing.
INSERT INTO payment_methods (method_id, owner_id, token, status, created_at_ms) VALUES ($1, $2, $3, 'pending', $4);

-- read_method --
-- One card of an owner; 0 or 1 row. Index: payment_methods_pkey.
SELECT method_id, owner_id, token, status, reference, brand, last4, expires FROM payment_methods
WHERE method_id = $1 AND owner_id = $2;

-- find_method --
-- One card, whose ever; 0 or 1 row. Index: payment_methods_pkey.
SELECT method_id, owner_id, token, status, reference, brand, last4, expires FROM payment_methods WHERE method_id = $1;

-- list_methods --
-- An owner's cards that can be used, newest first. Index: payment_methods_owner, backward.
SELECT method_id, owner_id, token, status, reference, brand, last4, expires FROM payment_methods
WHERE owner_id = $1 AND status = 'active' ORDER BY method_id DESC;

-- keep_method --
-- Nothing. What the provider says of a card that was pending; one that was removed stays so. Index: payment_methods_pkey.
UPDATE payment_methods
SET status = CASE WHEN status = 'pending' THEN 'active' ELSE status END, reference = $2, brand = $3, last4 = $4, expires = $5
WHERE method_id = $1;

-- remove_method --
-- The id of a card that was not removed before; 0 or 1 row. Index: payment_methods_pkey. Locks: the row.
UPDATE payment_methods SET status = 'removed' WHERE method_id = $1 AND owner_id = $2 AND status <> 'removed'
RETURNING method_id;
