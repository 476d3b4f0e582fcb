-- lock_buyers --
-- Nothing. Locks: the reservations of these buyers, until commit, in one order everywhere.
SELECT pg_advisory_xact_lock(lock) FROM (
    SELECT DISTINCT hashtextextended(buyer_id::text, 7161962) AS lock FROM unnest($1::uuid[]) AS buyer_id ORDER BY lock
) AS locks;

-- lock_stock --
-- What can be sold of these listings, ascending by id; no row for an unknown one. Index: listings_pkey.
-- Locks: the rows, in the order of ids, until commit.
SELECT listing_id, seller_id, status, version, terms_version, price_minor, currency, quantity, reserved, auctioned
FROM listings WHERE listing_id = ANY ($1::uuid[]) ORDER BY listing_id FOR UPDATE;

-- update_stock --
-- Write what moved of locked listings. Index: listings_pkey.
UPDATE listings AS l
SET version = moved.version, quantity = moved.quantity, reserved = moved.reserved, auctioned = moved.auctioned,
    status = moved.status, updated_at_ms = greatest(l.updated_at_ms, $7)
FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::text[])
    AS moved (listing_id, version, quantity, reserved, auctioned, status)
WHERE l.listing_id = moved.listing_id;

-- count_held --
-- How many reservations each of these buyers holds; no row for none. Index: stock_reservations_held.
SELECT buyer_id, count(*)::int AS held FROM stock_reservations
WHERE buyer_id = ANY ($1::uuid[]) AND status = 'held' GROUP BY buyer_id;

-- read_reservations --
-- Reservations by id, in no order; no row for an unknown one. Index: stock_reservations_pkey.
SELECT reservation_id, listing_id, buyer_id, quantity, price_minor, currency, listing_version, status, created_at_ms,
       expires_at_ms
FROM stock_reservations WHERE reservation_id = ANY ($1::uuid[]);

-- list_reservations --
-- A buyer's reservations of these statuses ($4) below an id, newest first, at most $3.
-- Index: stock_reservations_buyer, backward, one range per status; rows are read for the page alone.
WITH page AS MATERIALIZED (
    SELECT found.*
    FROM unnest($4::text[]) AS wanted (status)
    CROSS JOIN LATERAL (
        SELECT reservation_id FROM stock_reservations
        WHERE buyer_id = $1 AND stock_reservations.status = wanted.status AND reservation_id < $2
        ORDER BY reservation_id DESC LIMIT $3
    ) AS found
    ORDER BY reservation_id DESC LIMIT $3
)
SELECT reservation_id, listing_id, buyer_id, quantity, price_minor, currency, listing_version, status, created_at_ms,
       expires_at_ms
FROM page JOIN stock_reservations USING (reservation_id)
ORDER BY reservation_id DESC;

-- end_reservations --
-- Give reservations of locked listings their last status. Index: stock_reservations_pkey.
UPDATE stock_reservations SET status = $2 WHERE reservation_id = ANY ($1::uuid[]);

-- list_movements --
-- Movements of a listing's stock below a version, newest first, at most $3. Index: stock_movements_pkey, backward.
SELECT listing_id, version, kind, quantity, on_hand, reserved, auctioned, reservation_id, auction_id, at_ms
FROM stock_movements
WHERE listing_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3;
