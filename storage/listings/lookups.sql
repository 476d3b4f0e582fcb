-- read_listing --
-- The public facts of one listing. 0 or 1 row. Index: listings_pkey. Locks: none.
SELECT listing_id, seller_id, status, title, price_minor, currency, quantity, quantity - reserved AS saleable
FROM listings WHERE listing_id = $1;

-- share_listing --
-- The public facts of one listing. 0 or 1 row. Index: listings_pkey. Locks: the row FOR SHARE until commit.
SELECT listing_id, seller_id, status, title, price_minor, currency, quantity, quantity - reserved AS saleable
FROM listings WHERE listing_id = $1 FOR SHARE;

-- read_stock --
-- What watchers of one listing see. 0 or 1 row, none for a draft. Index: listings_pkey.
SELECT price_minor, currency, quantity - reserved AS saleable, version, status
FROM listings WHERE listing_id = $1 AND status <> 'draft';
