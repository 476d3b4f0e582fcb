-- read_allocations --
-- Who gets the units of these auctions, by auction, best first. Index: auction_places_pkey.
SELECT auction_id, bidder_id, amount, quantity, units, number
FROM auction_places WHERE auction_id = ANY($1::uuid[])
ORDER BY auction_id, place;

-- delete_allocations --
-- All allocations of these auctions. Index: auction_places_pkey.
DELETE FROM auction_places WHERE auction_id = ANY($1::uuid[]);
