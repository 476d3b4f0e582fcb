-- insert_purchase --
-- A purchase at the buy-now price.
INSERT INTO bids (auction_id, number, bid_id, bidder_id, amount, price, at_ms, bought)
VALUES ($1, $2, $3, $4, $5, $5, $6, true);

-- list_bids --
-- Bids of an auction before a number, newest first, at most $3. Index: bids_pkey backward, bid_retractions_pkey.
SELECT b.number, b.bid_id, b.bidder_id, b.amount, b.price, b.at_ms, b.quantity, r.number IS NOT NULL AS retracted
FROM bids AS b LEFT JOIN bid_retractions AS r ON r.auction_id = b.auction_id AND r.bid_number = b.number
WHERE b.auction_id = $1 AND b.number < $2
ORDER BY b.number DESC LIMIT $3;

-- find_bid --
-- The number and bidder of one bid of an auction. 0 or 1 row. Index: bids_pkey, all bids of the auction.
SELECT number, bidder_id FROM bids WHERE auction_id = $1 AND bid_id = $2;

-- read_own_bids --
-- The bids of one bidder in an auction that were not retracted, in the order they came. Index: bids_pkey, all bids of the
-- auction, and bid_retractions_pkey.
SELECT b.number, b.bidder_id, b.amount, b.at_ms
FROM bids AS b
WHERE b.auction_id = $1 AND b.bidder_id = $2 AND NOT b.bought
  AND NOT EXISTS (SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number)
ORDER BY b.number;

-- read_deciding_bids --
-- Those standing bids of an auction that price and leader follow from, at most four, in the order they came: the best bid,
-- the best of all other bidders, what the leader had offered before that one, and what the leader first beat it with.
-- Best is the highest, with $2 = -1 the lowest. Every bid had to beat the second-best limit that stood when it came, so no
-- other bid can have set the price.
-- Index: bids_pkey, all bids of the auction, and bid_retractions_pkey.
WITH standing AS MATERIALIZED (
    SELECT b.number, b.bidder_id, b.amount, b.at_ms, b.amount * $2::int AS worth
    FROM bids AS b
    WHERE b.auction_id = $1 AND NOT b.bought
      AND NOT EXISTS (SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number)
), best AS (
    SELECT * FROM standing ORDER BY worth DESC, number LIMIT 1
), second AS (
    SELECT s.* FROM standing AS s JOIN best ON s.bidder_id <> best.bidder_id ORDER BY s.worth DESC, s.number LIMIT 1
), offered_before AS (
    SELECT s.* FROM standing AS s JOIN best USING (bidder_id) JOIN second ON s.number < second.number
    ORDER BY s.worth DESC, s.number LIMIT 1
), beaten_with AS (
    SELECT s.* FROM standing AS s JOIN best USING (bidder_id)
    JOIN second ON s.number > second.number AND s.worth > second.worth
    ORDER BY s.number LIMIT 1
)
SELECT number, bidder_id, amount, at_ms FROM best
UNION SELECT number, bidder_id, amount, at_ms FROM second
UNION SELECT number, bidder_id, amount, at_ms FROM offered_before
UNION SELECT number, bidder_id, amount, at_ms FROM beaten_with
ORDER BY number;

-- read_best_bids --
-- The last standing bids of the bidders of an auction of several units, best first, at most $2: no others can get one.
-- Index: bids_pkey, all bids of the auction, and bid_retractions_pkey.
SELECT number, bidder_id, amount, at_ms, quantity
FROM (
    SELECT DISTINCT ON (b.bidder_id) b.number, b.bidder_id, b.amount, b.at_ms, b.quantity
    FROM bids AS b
    WHERE b.auction_id = $1
      AND NOT EXISTS (SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number)
    ORDER BY b.bidder_id, b.number DESC
) AS last_bids
ORDER BY amount DESC, number LIMIT $2;

-- insert_retractions --
-- Bids that were taken back by the event numbered $3. One row each.
INSERT INTO bid_retractions (auction_id, bid_number, number)
SELECT $1, bid_number, $3 FROM unnest($2::bigint[]) AS taken (bid_number);

-- queue_losers --
-- Remember to tell all who had a standing bid in these closed auctions and did not get them. One row per bidder and
-- auction. Index: auctions_pkey, bids_pkey and sealed_bids_pkey (one range per auction), bid_retractions_pkey,
-- auction_places_pkey.
INSERT INTO auction_losers (auction_id, bidder_id)
SELECT DISTINCT b.auction_id, b.bidder_id
FROM auctions AS a JOIN bids AS b USING (auction_id)
WHERE a.auction_id = ANY($1::uuid[]) AND NOT b.bought
  AND (a.status <> 'sold' OR b.bidder_id <> a.leader_id)
  AND NOT EXISTS (
      SELECT FROM auction_places AS p
      WHERE a.status = 'sold' AND p.auction_id = a.auction_id AND p.bidder_id = b.bidder_id
  )
  AND NOT EXISTS (SELECT FROM bid_retractions AS r WHERE r.auction_id = b.auction_id AND r.bid_number = b.number)
UNION
SELECT s.auction_id, s.bidder_id
FROM auctions AS a JOIN sealed_bids AS s USING (auction_id)
WHERE a.auction_id = ANY($1::uuid[]) AND (a.status <> 'sold' OR s.bidder_id <> a.leader_id)
  AND NOT EXISTS (
      SELECT FROM auction_places AS p
      WHERE a.status = 'sold' AND p.auction_id = a.auction_id AND p.bidder_id = s.bidder_id
  );

-- take_losers --
-- Up to $2 bidders of these auctions who have to be told; they are off the queue once this commits.
-- Index: auction_losers_pkey. Locks: the rows, skipping those of other workers.
DELETE FROM auction_losers WHERE (auction_id, bidder_id) IN (
    SELECT auction_id, bidder_id FROM auction_losers WHERE auction_id = ANY($1::uuid[])
    LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING auction_id, bidder_id;

-- read_receipts --
-- When the bids and purchases numbered $2 < number <= $3 of an auction of any format were received.
-- Index: bids_pkey, sealed_bids_pkey.
SELECT number, at_ms FROM bids WHERE auction_id = $1 AND number > $2 AND number <= $3
UNION ALL
SELECT number, at_ms FROM sealed_bids WHERE auction_id = $1 AND number > $2 AND number <= $3;

-- read_retractions --
-- Which bids of an auction were taken back by events numbered $2 < number <= $3, by event and bid.
-- Index: bid_retractions_pkey, all retractions of the auction.
SELECT number, array_agg(bid_number ORDER BY bid_number) AS bid_numbers
FROM bid_retractions WHERE auction_id = $1 AND number > $2 AND number <= $3
GROUP BY number;
