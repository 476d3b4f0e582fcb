-- set_guards --
-- The guards of an auction that this transaction has just written. Index: auctions_pkey.
UPDATE auctions SET exposure_guard = $2, bidders = $3, has_blocks = $4, deposit_minor = $5, wallet_guard = $6 WHERE auction_id = $1;

-- lock_seller --
-- One row. Locks: what this seller keeps out and what this seller opens, one after the other until commit.
SELECT pg_advisory_xact_lock(7161963, hashtext($1::uuid::text));

-- has_blocks --
-- Whether a seller keeps anybody out. One row. Index: bidder_blocks_seller.
SELECT EXISTS (SELECT FROM bidder_blocks WHERE seller_id = $1);

-- find_open_unmarked --
-- A seller's open auctions that do not look at blocks yet, by id. Index: auctions_seller_ends.
SELECT auction_id FROM auctions
WHERE seller_id = $1 AND status IN ('scheduled', 'live') AND NOT has_blocks
ORDER BY auction_id;

-- mark_blocks --
-- Have auctions whose rows this transaction has locked look at blocks. Index: auctions_pkey.
UPDATE auctions SET has_blocks = true WHERE auction_id = ANY($1::uuid[]);

-- find_standings --
-- For pairs of auction and bidder, given with the seller: whether the seller keeps the bidder out, and what the seller said
-- of the bidder in this auction, or null. One row each. Index: auction_bidders_pkey, bidder_blocks_seller_id_bidder_id_auction_id_key.
SELECT w.auction_id, w.bidder_id, a.status,
       EXISTS (SELECT FROM bidder_blocks AS b WHERE b.seller_id = w.seller_id AND b.bidder_id = w.bidder_id) AS blocked
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (auction_id, seller_id, bidder_id)
LEFT JOIN auction_bidders AS a ON a.auction_id = w.auction_id AND a.bidder_id = w.bidder_id;

-- insert_request --
-- A wish to bid. Returns a row unless there is one already. Index: auction_bidders_pkey.
INSERT INTO auction_bidders (auction_id, bidder_id, status, message, requested_at_ms)
VALUES ($1, $2, 'requested', $3, $4)
ON CONFLICT (auction_id, bidder_id) DO NOTHING
RETURNING status;

-- lock_bidder --
-- What was asked and said about one bidder of an auction. 0 or 1 row. Index: auction_bidders_pkey. Locks: the row.
SELECT bidder_id, status, message, reason, requested_at_ms, decided_at_ms
FROM auction_bidders WHERE auction_id = $1 AND bidder_id = $2 FOR UPDATE;

-- decide_bidder --
-- What the seller says of a bidder whose row this transaction has locked. Index: auction_bidders_pkey.
UPDATE auction_bidders SET status = $3, reason = $4, decided_at_ms = $5 WHERE auction_id = $1 AND bidder_id = $2;

-- list_bidders --
-- Who asked to bid in an auction, of these statuses ($4), after a position in the order they asked, at most $5.
-- Index: auction_bidders_requests, one range per status; rows are read for the page alone.
WITH page AS MATERIALIZED (
    SELECT found.*
    FROM unnest($4::text[]) AS wanted (status)
    CROSS JOIN LATERAL (
        SELECT requested_at_ms, bidder_id FROM auction_bidders
        WHERE auction_id = $1 AND auction_bidders.status = wanted.status AND (requested_at_ms, bidder_id) > ($2, $3)
        ORDER BY requested_at_ms, bidder_id LIMIT $5
    ) AS found
    ORDER BY requested_at_ms, bidder_id LIMIT $5
)
SELECT bidder_id, status, message, reason, requested_at_ms, decided_at_ms
FROM page JOIN auction_bidders USING (bidder_id, requested_at_ms)
WHERE auction_id = $1
ORDER BY requested_at_ms, bidder_id;

-- insert_block --
-- Keep a bidder out. Returns the id, or no row when the bidder is kept out already.
INSERT INTO bidder_blocks (block_id, seller_id, bidder_id, auction_id, bidder_mask, reason, at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (seller_id, bidder_id, auction_id) DO NOTHING
RETURNING block_id;

-- read_block --
-- The block of a bidder by a seller, by mask in the auction given, or by id with null. 0 or 1 row.
-- Index: bidder_blocks_seller_id_bidder_id_auction_id_key.
SELECT block_id, bidder_id, auction_id, bidder_mask, reason, at_ms
FROM bidder_blocks WHERE seller_id = $1 AND bidder_id = $2 AND auction_id IS NOT DISTINCT FROM $3::uuid;

-- count_blocks --
-- How many bidders a seller keeps out. One row. Index: bidder_blocks_seller.
SELECT count(*) FROM bidder_blocks WHERE seller_id = $1;

-- delete_block --
-- Let a bidder in again. Returns the row that went, or none when it is not this seller's. Index: bidder_blocks_pkey.
DELETE FROM bidder_blocks WHERE block_id = $1 AND seller_id = $2
RETURNING block_id, bidder_id, auction_id, bidder_mask, reason, at_ms;

-- list_blocks --
-- Whom a seller keeps out, after an id, at most $3. Index: bidder_blocks_seller.
SELECT block_id, bidder_id, auction_id, bidder_mask, reason, at_ms
FROM bidder_blocks WHERE seller_id = $1 AND block_id > $2
ORDER BY block_id LIMIT $3;

-- find_auction_bidders --
-- Who has bid in an auction of any format, each once. Index: bids_pkey, sealed_bids_bidder: all bids of the auction.
SELECT bidder_id FROM bids WHERE auction_id = $1
UNION
SELECT bidder_id FROM sealed_bids WHERE auction_id = $1;

-- read_standing_bids --
-- The bids of one bidder in an auction that were not taken back, in the order they came. Index: bids_pkey, all bids of the
-- auction, and bid_retractions_pkey.
SELECT b.number, b.bid_id, b.amount, b.quantity FROM bids AS b
WHERE b.auction_id = $1 AND b.bidder_id = $2 AND NOT b.bought
  AND NOT EXISTS (SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number)
ORDER BY b.number;

-- find_standing_bidders --
-- Who has a standing bid in an auction, each once. Index: bids_pkey, bid_retractions_pkey: all bids of the auction.
SELECT DISTINCT b.bidder_id FROM bids AS b
WHERE b.auction_id = $1 AND NOT b.bought
  AND NOT EXISTS (SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number);
