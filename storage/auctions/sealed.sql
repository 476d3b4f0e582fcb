-- find_bidders --
-- Which of these pairs of auction and bidder have a sealed bid, at most one row each. Index: sealed_bids_bidder.
SELECT p.auction_id, p.bidder_id FROM unnest($1::uuid[], $2::uuid[]) AS p (auction_id, bidder_id)
WHERE EXISTS (SELECT FROM sealed_bids AS s WHERE s.auction_id = p.auction_id AND s.bidder_id = p.bidder_id);

-- read_standing --
-- The last bid of every bidder of these auctions, by auction and number. Index: sealed_bids_pkey, all their bids.
SELECT * FROM (
    SELECT DISTINCT ON (auction_id, bidder_id) auction_id, number, bid_id, bidder_id, closed
    FROM sealed_bids WHERE auction_id = ANY($1::uuid[])
    ORDER BY auction_id, bidder_id, number DESC
) AS standing
ORDER BY auction_id, number;

-- open_bids --
-- Bids as they are opened at the end. One row each. Index: sealed_bids_pkey.
UPDATE sealed_bids AS s SET amount = n.amount, nonce = n.nonce, quantity = n.quantity
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::int[])
    AS n (auction_id, number, amount, nonce, quantity)
WHERE s.auction_id = n.auction_id AND s.number = n.number;

-- list_sealed_bids --
-- Sealed bids of an auction before a number, newest first, at most $3. Index: sealed_bids_pkey backward and, for whether
-- a bid was replaced, sealed_bids_bidder.
SELECT b.number, b.bid_id, b.bidder_id, b.amount, b.at_ms, b.commitment, b.quantity,
       EXISTS (
           SELECT FROM sealed_bids AS l
           WHERE l.auction_id = b.auction_id AND l.bidder_id = b.bidder_id AND l.number > b.number
       ) AS replaced
FROM sealed_bids AS b
WHERE b.auction_id = $1 AND b.number < $2
ORDER BY b.number DESC LIMIT $3;
