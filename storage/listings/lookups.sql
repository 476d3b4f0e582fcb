-- read_listing --
-- The public facts of one listing. 0 or 1 row. Index: listings_pkey. Locks: none.
SELECT listing_id, seller_id, status, title, price_minor, currency, quantity
FROM listings WHERE listing_id = $1;

-- share_listing --
-- The public facts of one listing. 0 or 1 row. Index: listings_pkey. Locks: the row FOR SHARE until commit.
SELECT listing_id, seller_id, status, title, price_minor, currency, quantity
FROM listings WHERE listing_id = $1 FOR SHARE;
