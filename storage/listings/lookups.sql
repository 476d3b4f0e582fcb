-- read_listing --
-- The public facts of one listing. 0 or 1 row. Index: listings_pkey. Locks: none.
SELECT listing_id, seller_id, status, version, title, price_minor, currency, quantity, reserved, auctioned
FROM listings WHERE listing_id = $1;

-- read_stock --
-- What watchers of one listing see. 0 or 1 row, none for a draft. Index: listings_pkey.
SELECT listing_id, seller_id, status, version, terms_version, price_minor, currency, quantity, reserved, auctioned
FROM listings WHERE listing_id = $1 AND status <> 'draft';

-- read_oldest_listings --
-- The facts of the first $2 listings of the sellers $1 that are no drafts, oldest first. Index: listings_seller.
SELECT listing_id, seller_id, status, version, title, price_minor, currency, quantity, reserved, auctioned
FROM listings WHERE seller_id = ANY($1::uuid[]) AND status <> 'draft' ORDER BY listing_id LIMIT $2;

-- find_categories --
-- Those of these slugs that are categories. Index: categories_pkey.
SELECT slug FROM categories WHERE slug = ANY($1::text[]);

-- read_categories_of --
-- The category of a listing and those above it, in no order; no row without a listing. Indexes: listings_pkey,
-- categories_pkey once for each level.
WITH RECURSIVE above AS (
    SELECT c.slug, c.parent_slug FROM listings AS l JOIN categories AS c ON c.slug = l.category WHERE l.listing_id = $1
    UNION
    SELECT c.slug, c.parent_slug FROM above JOIN categories AS c ON c.slug = above.parent_slug
)
SELECT slug FROM above;
