-- read_ticker --
-- The newest visible state of one auction. 0 or 1 row. Index: auctions_pkey.
SELECT event_number, price, minimum_bid, leader_mask, bid_count,
       reserve_price IS NULL OR leader_max >= reserve_price AS reserve_met, ends_at_ms
FROM auctions WHERE auction_id = $1;

-- read_auction_facts --
-- What other domains may know of one auction. 0 or 1 row. Index: auctions_pkey.
SELECT auction_id, listing_id, seller_id, status, currency, price,
       CASE WHEN status = 'sold' THEN leader_id END AS winner_id, ends_at_ms
FROM auctions WHERE auction_id = $1;
