-- read_page --
-- All that an auction's page shows to a user ($2, null for anybody), with its newest bids, at most $3, as JSON. 0 or 1 row.
-- Of other domains it reads what everybody may see: the listing's text and the seller's name.
-- Index: auctions_pkey, listings_pkey, users_pkey, auction_watch_counts_pkey, auction_watches_pkey, auction_places_pkey; of
-- bids_pkey and sealed_bids_pkey the newest rows.
SELECT a.auction_id, a.listing_id, a.seller_id, a.format, a.currency, a.starting_price, a.reserve_price, a.buy_now_price,
       a.starts_at_ms, a.status, a.event_number, a.price, a.minimum_bid, a.leader_id, a.leader_max, a.bid_count,
       a.ends_at_ms, a.extensions, a.leader_mask, a.fall, a.group_id, a.quantity, a.exposure_guard, a.wallet_guard, a.bidders, a.deposit_minor, a.mask_salt, c.watchers,
       json_build_array(l.title, l.photos -> 0) AS goods, l.title, l.description, l.category, l.condition, l.weight_g, l.volume_cm3, l.attributes, l.version AS listing_version,
       u.display_name, u.created_at_ms AS seller_since_ms,
       p.amount AS allocated_amount, p.quantity AS allocated_quantity, p.units AS allocated_units,
       coalesce(w.watching, false) AS watching, coalesce(w.has_bid, false) AS has_bid, w.remind_before_s,
       coalesce(newest.bids, '[]') AS bids
FROM auctions AS a
JOIN listings AS l USING (listing_id)
LEFT JOIN users AS u ON u.user_id = a.seller_id
LEFT JOIN auction_watch_counts AS c USING (auction_id)
LEFT JOIN auction_watches AS w ON w.auction_id = a.auction_id AND w.user_id = $2
LEFT JOIN LATERAL (
    SELECT amount, quantity, units FROM auction_places
    WHERE a.quantity > 1 AND auction_id = a.auction_id AND bidder_id = $2
    LIMIT 1
) AS p ON true
CROSS JOIN LATERAL (
    SELECT json_agg(json_build_array(
        b.number, b.bid_id, b.bidder_id, b.price, b.at_ms, b.quantity, b.is_gone,
        CASE WHEN b.bidder_id = $2 THEN b.amount END, b.commitment
    ) ORDER BY b.number DESC) AS bids
    FROM (
        (
            SELECT b.number, b.bid_id, b.bidder_id, b.price, b.at_ms, b.quantity, b.amount, NULL AS commitment,
                   EXISTS (
                       SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number
                   ) AS is_gone
            FROM bids AS b WHERE b.auction_id = a.auction_id ORDER BY b.number DESC LIMIT $3
        ) UNION ALL (
            SELECT s.number, s.bid_id, s.bidder_id, coalesce(s.amount, a.starting_price), s.at_ms, s.quantity, NULL,
                   encode(s.commitment, 'hex'),
                   EXISTS (
                       SELECT FROM sealed_bids AS later
                       WHERE later.auction_id = s.auction_id AND later.bidder_id = s.bidder_id AND later.number > s.number
                   )
            FROM sealed_bids AS s WHERE s.auction_id = a.auction_id ORDER BY s.number DESC LIMIT $3
        )
    ) AS b
) AS newest
WHERE a.auction_id = $1;
