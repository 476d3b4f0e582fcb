-- find_deposits --
-- Those of these pairs of auction and bidder that have a deposit. Index: the unique one of auction_deposits.
SELECT d.auction_id, d.bidder_id FROM auction_deposits AS d
JOIN unnest($1::uuid[], $2::uuid[]) AS w (auction_id, bidder_id) USING (auction_id, bidder_id);

-- lock_deposits --
-- Deposits of these pairs of auction and bidder that nothing became of yet. Index: the unique one of auction_deposits.
-- Locks: the rows, by id.
SELECT d.deposit_id, d.auction_id, d.bidder_id, d.amount_minor FROM auction_deposits AS d
JOIN unnest($1::uuid[], $2::uuid[]) AS w (auction_id, bidder_id) USING (auction_id, bidder_id)
WHERE d.status = 'taken' ORDER BY d.deposit_id FOR UPDATE OF d;

-- end_deposits --
-- Nothing. What became of locked deposits. Index: auction_deposits_pkey.
UPDATE auction_deposits AS d SET status = n.status
FROM unnest($1::uuid[], $2::text[]) AS n (deposit_id, status) WHERE d.deposit_id = n.deposit_id;

-- take_returned --
-- The next deposits of these auctions that nothing became of, at most $2; they count as returned. Index:
-- auction_deposits_taken. Locks: the rows.
UPDATE auction_deposits SET status = 'returned' WHERE deposit_id IN (
    SELECT deposit_id FROM auction_deposits WHERE auction_id = ANY($1::uuid[]) AND status = 'taken'
    ORDER BY deposit_id LIMIT $2 FOR UPDATE
)
RETURNING deposit_id, auction_id, bidder_id, amount_minor;
