-- insert_activity --
-- Who bid in closed auctions, how often, who won. Rows of auctions that were reviewed before stay. Index: auctions_pkey,
-- bids_pkey and sealed_bids_pkey (one range per auction).
INSERT INTO bidder_activity (bidder_id, auction_id, seller_id, bids, won, at_ms)
SELECT b.bidder_id, a.auction_id, a.seller_id, count(*), a.status = 'sold' AND b.bidder_id = a.leader_id, $2
FROM auctions AS a
JOIN (
    SELECT auction_id, bidder_id FROM bids WHERE auction_id = ANY($1::uuid[])
    UNION ALL
    SELECT auction_id, bidder_id FROM sealed_bids WHERE auction_id = ANY($1::uuid[])
) AS b USING (auction_id)
WHERE a.auction_id = ANY($1::uuid[])
GROUP BY b.bidder_id, a.auction_id
ON CONFLICT (bidder_id, auction_id) DO NOTHING;

-- read_conduct --
-- What everybody who bid in an auction did since $2, here and elsewhere. One row per bidder. Index: bids_pkey,
-- sealed_bids_pkey (one range), bidder_activity_pkey (one range per bidder).
SELECT h.bidder_id, count(*) AS auctions, count(*) FILTER (WHERE h.seller_id = a.seller_id) AS auctions_here,
       coalesce(sum(h.bids) FILTER (WHERE h.seller_id = a.seller_id), 0)::bigint AS bids_here,
       count(*) FILTER (WHERE h.won AND h.seller_id = a.seller_id) AS wins_here
FROM auctions AS a
CROSS JOIN (
    SELECT bidder_id FROM bids WHERE auction_id = $1 UNION SELECT bidder_id FROM sealed_bids WHERE auction_id = $1
) AS w
JOIN bidder_activity AS h ON h.bidder_id = w.bidder_id
WHERE a.auction_id = $1 AND h.at_ms >= $2
GROUP BY h.bidder_id;

-- delete_old_activity --
-- Forget activity older than an instant, at most $2 rows; one row for each. Index: bidder_activity_at. Locks: the rows,
-- skipping those of other workers.
DELETE FROM bidder_activity WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM bidder_activity WHERE at_ms < $1 ORDER BY at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
))
RETURNING 1;

-- read_own_retractions --
-- The bids of an auction that bidders took back by their own wish, each with when it went. Index: bid_retractions_pkey,
-- bids_pkey, events_pkey.
SELECT b.bidder_id, b.amount, e.at_ms
FROM bid_retractions AS r
JOIN bids AS b ON b.auction_id = r.auction_id AND b.number = r.bid_number
JOIN events AS e ON e.stream = 'auctions:' || r.auction_id::text AND e.number = r.number
WHERE r.auction_id = $1 AND e.data->>'reason' IS NULL;

-- insert_signal --
-- A new signal. Returns its id, or no row when it was raised before.
INSERT INTO auction_signals (signal_id, auction_id, seller_id, bidder_id, kind, score, evidence, raised_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (auction_id, bidder_id, kind) DO NOTHING
RETURNING signal_id;

-- lock_signal --
-- One signal. 0 or 1 row. Index: auction_signals_pkey. Locks: the row.
SELECT signal_id, auction_id, seller_id, bidder_id, kind, score, evidence, status, note, raised_at_ms, resolved_by,
       resolved_at_ms
FROM auction_signals WHERE signal_id = $1 FOR UPDATE;

-- resolve_signal --
-- What support found about a locked signal. Index: auction_signals_pkey.
UPDATE auction_signals SET status = $2, note = $3, resolved_by = $4, resolved_at_ms = $5 WHERE signal_id = $1;

-- list_signals --
-- Signals of one status before an id, newest first, at most $3. Index: auction_signals_status backward.
SELECT signal_id, auction_id, seller_id, bidder_id, kind, score, evidence, status, note, raised_at_ms, resolved_by,
       resolved_at_ms
FROM auction_signals WHERE status = $1 AND signal_id < $2
ORDER BY signal_id DESC LIMIT $3;

-- list_signals_of_seller --
-- The same of one seller's auctions. Index: auction_signals_seller backward.
SELECT signal_id, auction_id, seller_id, bidder_id, kind, score, evidence, status, note, raised_at_ms, resolved_by,
       resolved_at_ms
FROM auction_signals WHERE seller_id = $4 AND status = $1 AND signal_id < $2
ORDER BY signal_id DESC LIMIT $3;
