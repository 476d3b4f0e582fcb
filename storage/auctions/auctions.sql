-- insert_auction --
-- A new auction. Returns nothing.
INSERT INTO auctions (
    auction_id, listing_id, seller_id, format, currency, starting_price, reserve_price, buy_now_price, starts_at_ms,
    planned_end_ms, step_limits, steps, soft_close_ms, mask_salt, fall, sealed_key, group_id,
    quantity, status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26, $27);

-- read_open_formats --
-- The formats of a listing's open auctions. Index: auctions_open_listing. Who holds the listing's row sees them all.
SELECT format FROM auctions WHERE listing_id = $1 AND status IN ('scheduled', 'live');

-- lock_states --
-- The changing columns of auctions, at most one row each, by id, and what their sellers set. Index: auctions_pkey. Locks: the rows until commit, in
-- id order, so that two batches cannot wait for each other.
SELECT auction_id, status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions,
       has_blocks, notify_first_bid, notify_reserve_met, notify_prices
FROM auctions WHERE auction_id = ANY($1::uuid[])
ORDER BY auction_id FOR UPDATE;

-- read_terms --
-- The columns of auctions that never change, and the title of the goods, which does not from the start on; at most one row
-- each. Index: auctions_pkey, listings_pkey.
SELECT auction_id, listing_id, format, currency, mask_salt, seller_id, starting_price, reserve_price, buy_now_price,
       starts_at_ms, planned_end_ms, step_limits, steps, soft_close_ms, fall, sealed_key, group_id, quantity,
       exposure_guard, wallet_guard, bidders, deposit_minor, status <> 'scheduled' AS is_final,
       (SELECT title FROM listings AS l WHERE l.listing_id = auctions.listing_id) AS title
FROM auctions WHERE auction_id = ANY($1::uuid[]);

-- update_states --
-- The new states of auctions whose rows this transaction has locked. One row each. Index: auctions_pkey.
UPDATE auctions AS a
SET status = n.status, event_number = n.event_number, price = n.price, minimum_bid = n.minimum_bid,
    leader_id = n.leader_id, leader_max = n.leader_max, bid_count = n.bid_count, ends_at_ms = n.ends_at_ms,
    extensions = n.extensions, leader_mask = n.leader_mask
FROM unnest(
    $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::int[], $11::text[]
) AS n (
    auction_id, status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions,
    leader_mask
)
WHERE a.auction_id = n.auction_id;

-- read_changed_states --
-- The changing columns of those auctions whose newest event is not the one known ($2, by auction), at most one row each.
-- Index: auctions_pkey.
SELECT a.auction_id, a.status, a.event_number, a.price, a.minimum_bid, a.leader_id, a.leader_max, a.bid_count,
       a.ends_at_ms, a.extensions
FROM unnest($1::uuid[], $2::bigint[]) AS known (auction_id, event_number) JOIN auctions AS a USING (auction_id)
WHERE a.event_number <> known.event_number;

-- end_unchanged --
-- End live auctions whose newest event is still the one known ($2, by auction), but for those whose row somebody holds:
-- sold ($3) or else unsold, with an event of the next number. Returns the ids of the ended ones.
-- Index: auctions_pkey, one probe each: written as a join the planner reads the whole table. Locks: the rows.
UPDATE auctions
SET status = CASE WHEN auction_id IN (SELECT unnest($3::uuid[])) THEN 'sold' ELSE 'unsold' END,
    event_number = event_number + 1
WHERE ctid = ANY(ARRAY(
    SELECT locked.ctid
    FROM unnest($1::uuid[], $2::bigint[]) AS known (auction_id, event_number)
    CROSS JOIN LATERAL (
        SELECT a.ctid FROM auctions AS a
        WHERE a.auction_id = known.auction_id AND a.event_number = known.event_number AND a.status = 'live'
        FOR UPDATE SKIP LOCKED
    ) AS locked
))
RETURNING auction_id;

-- find_group_auctions --
-- The open auctions of these pairs of seller and group. Index: auctions_group.
SELECT a.auction_id
FROM auctions AS a JOIN unnest($1::uuid[], $2::uuid[]) AS g (seller_id, group_id) USING (seller_id, group_id)
WHERE a.group_id IS NOT NULL AND a.status IN ('scheduled', 'live');

-- read_auction --
-- One auction as of now, with title and first photo of its goods. 0 or 1 row. Index: auctions_pkey, listings_pkey.
SELECT auction_id, listing_id, seller_id, format, currency, starting_price, reserve_price, buy_now_price, starts_at_ms,
       status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions, leader_mask,
       fall, group_id, quantity, exposure_guard, wallet_guard, bidders, deposit_minor,
       (SELECT json_build_array(l.title, l.photos -> 0) FROM listings AS l WHERE l.listing_id = a.listing_id) AS goods,
       (SELECT watchers FROM auction_watch_counts AS c WHERE c.auction_id = a.auction_id) AS watchers
FROM auctions AS a WHERE auction_id = $1;

-- read_auctions --
-- Auctions as of now, with title and first photo of the goods, at most one row each. Index: auctions_pkey, listings_pkey.
SELECT auction_id, listing_id, seller_id, format, currency, starting_price, reserve_price, buy_now_price, starts_at_ms,
       status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions, leader_mask,
       fall, group_id, quantity,
       (SELECT json_build_array(l.title, l.photos -> 0) FROM listings AS l WHERE l.listing_id = auctions.listing_id) AS goods
FROM auctions WHERE auction_id = ANY($1::uuid[]);

-- list_by_end --
-- Auctions after a position in the order of their ends, at most $3. Index: auctions_ends.
SELECT auction_id, listing_id, seller_id, format, currency, starting_price, reserve_price, buy_now_price, starts_at_ms,
       status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions, leader_mask,
       fall, group_id, quantity,
       (SELECT json_build_array(l.title, l.photos -> 0) FROM listings AS l WHERE l.listing_id = auctions.listing_id) AS goods
FROM auctions WHERE (ends_at_ms, auction_id) > ($1, $2)
ORDER BY ends_at_ms, auction_id LIMIT $3;

-- list_by_status --
-- Auctions of one status after a position in the order of their ends, at most $3. Index: auctions_status_ends.
SELECT auction_id, listing_id, seller_id, format, currency, starting_price, reserve_price, buy_now_price, starts_at_ms,
       status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions, leader_mask,
       fall, group_id, quantity,
       (SELECT json_build_array(l.title, l.photos -> 0) FROM listings AS l WHERE l.listing_id = auctions.listing_id) AS goods
FROM auctions WHERE (ends_at_ms, auction_id) > ($1, $2) AND status = $4
ORDER BY ends_at_ms, auction_id LIMIT $3;

-- list_by_seller --
-- Auctions of one seller of these statuses ($5) after a position in the order of their ends, at most $3.
-- Index: auctions_seller_ends, one range per status; rows are read for the page alone.
WITH page AS MATERIALIZED (
    SELECT found.*
    FROM unnest($5::text[]) AS wanted (status)
    CROSS JOIN LATERAL (
        SELECT ends_at_ms, auction_id FROM auctions
        WHERE seller_id = $4 AND auctions.status = wanted.status AND (ends_at_ms, auction_id) > ($1, $2)
        ORDER BY ends_at_ms, auction_id LIMIT $3
    ) AS found
    ORDER BY ends_at_ms, auction_id LIMIT $3
)
SELECT auction_id, listing_id, seller_id, format, currency, starting_price, reserve_price, buy_now_price, starts_at_ms,
       status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions, leader_mask,
       fall, group_id, quantity,
       (SELECT json_build_array(l.title, l.photos -> 0) FROM listings AS l WHERE l.listing_id = auctions.listing_id) AS goods
FROM page JOIN auctions USING (auction_id, ends_at_ms)
ORDER BY ends_at_ms, auction_id;

-- list_filtered --
-- Auctions of one status ($4) that end by $5, after a position in the order of their ends, at most $3; every other filter holds
-- unless it is null. Index: auctions_status_ends, read until the page is full.
SELECT auction_id, listing_id, seller_id, format, currency, starting_price, reserve_price, buy_now_price, starts_at_ms,
       status, event_number, price, minimum_bid, leader_id, leader_max, bid_count, ends_at_ms, extensions, leader_mask,
       fall, group_id, quantity,
       (SELECT json_build_array(l.title, l.photos -> 0) FROM listings AS l WHERE l.listing_id = auctions.listing_id) AS goods
FROM auctions
WHERE (ends_at_ms, auction_id) > ($1, $2) AND status = $4 AND ends_at_ms <= $5
  AND ($6::uuid IS NULL OR seller_id = $6)
  AND ($7::text IS NULL OR format = $7)
  AND ($8::text IS NULL OR currency = $8)
  AND price BETWEEN $9 AND $10
  AND ($11::boolean IS NULL OR (bid_count > 0) = $11)
ORDER BY ends_at_ms, auction_id LIMIT $3;

-- plan_for_values --
-- The rest of this transaction is planned for the values at hand: a rare category or a small circle is looked for among the
-- goods, a common one among the auctions.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('random_page_cost', '1.1', true);

-- list_by_goods --
-- The same as `list_filtered` with what the goods have to be like: categories ($12), a circle ($15 metres around latitude
-- $13, longitude $14), words ($16), a condition ($17); an open auction's listing is active. Index: auctions_status_ends and
-- listings_pkey, or listings_category, listings_location or listings_words and auctions_open_listing.
SELECT a.auction_id, a.listing_id, a.seller_id, a.format, a.currency, a.starting_price, a.reserve_price, a.buy_now_price,
       a.starts_at_ms, a.status, a.event_number, a.price, a.minimum_bid, a.leader_id, a.leader_max, a.bid_count, a.ends_at_ms,
       a.extensions, a.leader_mask, a.fall, a.group_id, a.quantity,
       json_build_array(l.title, l.photos -> 0) AS goods, (l.location <-> place.point) AS distance_m
FROM auctions AS a
JOIN listings AS l USING (listing_id)
CROSS JOIN (SELECT ST_SetSRID(ST_MakePoint($14::float8, $13::float8), 4326)::geography AS point) AS place
WHERE (a.ends_at_ms, a.auction_id) > ($1, $2) AND a.status = $4 AND a.ends_at_ms <= $5
  AND ($6::uuid IS NULL OR a.seller_id = $6)
  AND ($7::text IS NULL OR a.format = $7)
  AND ($8::text IS NULL OR a.currency = $8)
  AND a.price BETWEEN $9 AND $10
  AND ($11::boolean IS NULL OR (a.bid_count > 0) = $11)
  AND ($4 NOT IN ('scheduled', 'live') OR l.status = 'active')
  AND ($12::text[] IS NULL OR l.category = ANY($12))
  AND ($16::text IS NULL OR l.words @@ $16::text::tsquery)
  AND ($17::text IS NULL OR l.condition = $17)
  AND (
      $13::float8 IS NULL
      OR (l.location && _ST_Expand(place.point, $15::float8) AND (l.location <-> place.point) <= $15)
  )
ORDER BY a.ends_at_ms, a.auction_id LIMIT $3;

-- read_statuses --
-- The status of auctions, at most one row each. Index: auctions_pkey.
SELECT auction_id, status FROM auctions WHERE auction_id = ANY($1::uuid[]);
