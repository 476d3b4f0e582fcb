-- set_notices --
-- What the seller of a locked auction is told. Returns nothing. Index: auctions_pkey. No indexed column changes.
UPDATE auctions SET notify_first_bid = $2, notify_reserve_met = $3, notify_prices = $4 WHERE auction_id = $1;

-- read_notices --
-- What the seller of an auction is told. 0 or 1 row. Index: auctions_pkey.
SELECT seller_id, notify_first_bid AS first_bid, notify_reserve_met AS reserve_met, notify_prices AS prices
FROM auctions WHERE auction_id = $1;
