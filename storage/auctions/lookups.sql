-- read_ticker --
-- The newest visible state of one auction at the instant $2, which the price of a Dutch one falls with. 0 or 1 row.
-- Index: auctions_pkey.
SELECT a.event_number, coalesce(d.price, a.price), coalesce(d.price, a.minimum_bid), a.leader_mask, a.bid_count,
       CASE
           WHEN a.reserve_price IS NULL THEN true
           WHEN a.format = 'reverse' THEN a.leader_id IS NOT NULL AND a.leader_max <= a.reserve_price
           ELSE a.leader_max >= a.reserve_price
       END AS reserve_met,
       a.ends_at_ms
FROM auctions AS a
LEFT JOIN LATERAL (
    SELECT greatest(
        a.fall[1],
        a.starting_price - a.fall[2] * least(
            greatest(0, least($2::bigint, a.ends_at_ms) - a.starts_at_ms) / a.fall[3],
            (a.starting_price - a.fall[1]) / a.fall[2] + 1
        )
    ) AS price
    WHERE a.fall IS NOT NULL AND a.status = 'live'
) AS d ON true
WHERE a.auction_id = $1;

-- read_open_auction --
-- An open auction of one listing and its status, a live one if there is one. 0 or 1 row. Index: auctions_open_listing.
SELECT auction_id, status FROM auctions WHERE listing_id = $1 AND status IN ('scheduled', 'live')
ORDER BY status, auction_id LIMIT 1;

-- read_auction_facts --
-- What other domains may know of one auction. 0 or 1 row. Index: auctions_pkey.
SELECT auction_id, listing_id, seller_id, status, currency, price,
       CASE WHEN status = 'sold' AND quantity = 1 THEN leader_id END AS winner_id, ends_at_ms,
       format, quantity
FROM auctions WHERE auction_id = $1;
