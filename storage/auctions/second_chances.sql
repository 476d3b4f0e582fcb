-- rank_bidders --
-- Who has a standing bid in a closed auction of any format, with the one that counts: the best, of several units ($3) the
-- last. The highest bid is the best with $2 = 1, the lowest with -1; of equal ones the earlier. One row per bidder, best
-- first. Index: bids_pkey, bid_retractions_pkey, sealed_bids_pkey: all bids of the auction.
SELECT bidder_id, amount, quantity FROM (
    SELECT DISTINCT ON (s.bidder_id) s.bidder_id, s.amount, s.quantity, s.number
    FROM (
        SELECT b.bidder_id, b.amount, b.quantity, b.number FROM bids AS b
        WHERE b.auction_id = $1 AND NOT b.bought
          AND NOT EXISTS (
              SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number
          )
        UNION ALL
        SELECT c.bidder_id, c.amount, coalesce(c.quantity, 1), c.number FROM sealed_bids AS c
        WHERE c.auction_id = $1 AND c.amount IS NOT NULL
    ) AS s
    ORDER BY s.bidder_id, CASE WHEN $3::boolean THEN -s.number ELSE -s.amount * $2::int END, s.number
) AS counting
ORDER BY amount * $2 DESC, number;

-- find_bidder_of --
-- Who placed a bid of an auction of any format. 0 or 1 row. Index: bids_pkey, sealed_bids_pkey: all bids of the auction.
SELECT bidder_id FROM bids WHERE auction_id = $1 AND bid_id = $2
UNION ALL
SELECT bidder_id FROM sealed_bids WHERE auction_id = $1 AND bid_id = $2;

-- insert_offer --
-- A new open offer.
INSERT INTO second_chances
    (offer_id, auction_id, bidder_id, seller_id, piece, price, quantity, offered_at_ms, expires_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- lock_offers --
-- The offers of auctions whose rows this transaction has locked, by id. Index:
-- second_chances_auction_id_bidder_id_key. Locks: the rows until commit.
SELECT offer_id, auction_id, bidder_id, seller_id, piece, price, quantity, status, offered_at_ms, expires_at_ms,
       decided_at_ms
FROM second_chances WHERE auction_id = ANY($1::uuid[])
ORDER BY offer_id FOR UPDATE;

-- find_auctions_of --
-- The auctions of offers. One row each. Index: second_chances_pkey.
SELECT offer_id, auction_id FROM second_chances WHERE offer_id = ANY($1::uuid[]);

-- decide_offers --
-- Give locked offers another status. Index: second_chances_pkey.
UPDATE second_chances SET status = $2, decided_at_ms = $3 WHERE offer_id = ANY($1::uuid[]);

-- list_made --
-- The offers a seller made, of these statuses ($3), before an id, newest first, at most $4.
-- Index: second_chances_seller backward, one range per status; rows are read for the page alone.
WITH page AS MATERIALIZED (
    SELECT found.*
    FROM unnest($3::text[]) AS wanted (status)
    CROSS JOIN LATERAL (
        SELECT offer_id FROM second_chances
        WHERE seller_id = $1 AND second_chances.status = wanted.status AND offer_id < $2
        ORDER BY offer_id DESC LIMIT $4
    ) AS found
    ORDER BY offer_id DESC LIMIT $4
)
SELECT offer_id, auction_id, bidder_id, seller_id, piece, price, quantity, status, offered_at_ms, expires_at_ms,
       decided_at_ms
FROM page JOIN second_chances USING (offer_id)
ORDER BY offer_id DESC;

-- list_received --
-- The offers a bidder got, of these statuses ($3), before an id, newest first, at most $4.
-- Index: second_chances_bidder backward, one range per status; rows are read for the page alone.
WITH page AS MATERIALIZED (
    SELECT found.*
    FROM unnest($3::text[]) AS wanted (status)
    CROSS JOIN LATERAL (
        SELECT offer_id FROM second_chances
        WHERE bidder_id = $1 AND second_chances.status = wanted.status AND offer_id < $2
        ORDER BY offer_id DESC LIMIT $4
    ) AS found
    ORDER BY offer_id DESC LIMIT $4
)
SELECT offer_id, auction_id, bidder_id, seller_id, piece, price, quantity, status, offered_at_ms, expires_at_ms,
       decided_at_ms
FROM page JOIN second_chances USING (offer_id)
ORDER BY offer_id DESC;
