-- read_listing --
-- The public facts of one listing. 0 or 1 row. Index: listings_pkey. Locks: none.
SELECT listing_id, seller_id, status, version, title, price_minor, currency, quantity, reserved, auctioned
FROM listings WHERE listing_id = $1;

-- read_stock --
-- What watchers of one listing see. 0 or 1 row, none for a draft. Index: listings_pkey.
SELECT listing_id, seller_id, status, version, terms_version, price_minor, currency, quantity, reserved, auctioned
FROM listings WHERE listing_id = $1 AND status <> 'draft';
