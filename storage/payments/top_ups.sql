-- insert_top_up --
-- Nothing.
INSERT INTO top_ups (top_up_id, owner_id, currency, amount_minor, status, method_id, transfer_id, created_at_ms)
VALUES ($1, $2, $3, $4, 'created', $5, $6, $7);

-- lock_owner --
-- Nothing. Who brings money in or takes it out does it one after the other. Locks: the owner's name, until commit.
SELECT pg_advisory_xact_lock(hashtextextended($1::text, 800));

-- sum_since --
-- What an owner brought in since an instant, without what failed or was given up. Index: top_ups_owner, one range.
SELECT coalesce(sum(amount_minor), 0)::bigint FROM top_ups
WHERE owner_id = $1 AND currency = $2 AND created_at_ms > $3 AND status NOT IN ('failed', 'canceled');

-- read_top_up --
-- One top-up; 0 or 1 row. Index: top_ups_pkey.
SELECT top_up_id, owner_id, currency, amount_minor, status, method_id, reference, failure, transfer_id, refunded_minor,
       checks, created_at_ms
FROM top_ups WHERE top_up_id = $1;

-- lock_top_up --
-- One top-up; 0 or 1 row. Index: top_ups_pkey. Locks: the row.
SELECT top_up_id, owner_id, currency, amount_minor, status, method_id, reference, failure, transfer_id, refunded_minor,
       checks, created_at_ms
FROM top_ups WHERE top_up_id = $1 FOR UPDATE;

-- find_reference --
-- The top-up of a payment; 0 or 1 row. Index: top_ups_reference.
SELECT top_up_id FROM top_ups WHERE reference = $1 AND reference <> '';

-- list_top_ups --
-- An owner's top-ups before one, newest first, at most $3. Index: top_ups_owner, backward.
SELECT top_up_id, owner_id, currency, amount_minor, status, method_id, reference, failure, transfer_id, refunded_minor,
       checks, created_at_ms
FROM top_ups WHERE owner_id = $1 AND top_up_id < $2 ORDER BY top_up_id DESC LIMIT $3;

-- update_top_up --
-- Nothing. Index: top_ups_pkey.
UPDATE top_ups SET status = $2, failure = $3, refunded_minor = $4 WHERE top_up_id = $1;

-- note_payment --
-- Nothing. What the provider calls it; an entry stays. Index: top_ups_pkey.
UPDATE top_ups SET reference = $2, entry = CASE WHEN entry = '' THEN $3 ELSE entry END WHERE top_up_id = $1;

-- note_booked --
-- Nothing. When its money was booked. Index: top_ups_pkey.
UPDATE top_ups SET booked_at_ms = $2 WHERE top_up_id = $1;

-- note_check --
-- Nothing. Index: top_ups_pkey.
UPDATE top_ups SET checks = $2, needs_review = $3 WHERE top_up_id = $1;

-- read_customer --
-- The provider's name of a user; 0 or 1 row. Index: provider_customers_pkey.
SELECT reference FROM provider_customers WHERE owner_id = $1;

-- keep_customer --
-- Nothing. The first name stays. Index: provider_customers_pkey.
INSERT INTO provider_customers (owner_id, reference) VALUES ($1, $2) ON CONFLICT DO NOTHING;
