-- insert_listing --
-- Add a listing at version 1. Returns one row, or none when the id is there already. Index: listings_pkey.
-- Locks: its category FOR KEY SHARE.
INSERT INTO listings (
    listing_id, seller_id, title, description, category, condition, price_minor, currency, location, weight_g,
    volume_cm3, quantity, attributes, created_at_ms, updated_at_ms, status, title_folded, words, fold_version
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, ST_SetSRID(ST_MakePoint($9, $10), 4326)::geography, $11, $12, $13, $14, $15, $15, $16,
    $17, listing_words($17, $18), $19
)
ON CONFLICT (listing_id) DO NOTHING
RETURNING 1;

-- read_listing --
-- One listing in full. 0 or 1 row. Index: listings_pkey. Locks: none.
SELECT listing_id, seller_id, status, version, title, description, category, condition, price_minor, currency,
       ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lon, weight_g, volume_cm3, quantity, attributes,
       created_at_ms, updated_at_ms, reserved, auctioned, terms_version, photos
FROM listings WHERE listing_id = $1;

-- lock_listing --
-- One listing in full. 0 or 1 row. Index: listings_pkey. Locks: the row until commit.
SELECT listing_id, seller_id, status, version, title, description, category, condition, price_minor, currency,
       ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lon, weight_g, volume_cm3, quantity, attributes,
       created_at_ms, updated_at_ms, reserved, auctioned, terms_version, photos
FROM listings WHERE listing_id = $1 FOR UPDATE;

-- update_listing --
-- Write every changeable column of a locked listing. Index: listings_pkey.
UPDATE listings SET
    status = $2, version = $3, title = $4, description = $5, category = $6, condition = $7, price_minor = $8,
    currency = $9, location = ST_SetSRID(ST_MakePoint($10, $11), 4326)::geography, weight_g = $12, volume_cm3 = $13,
    quantity = $14, attributes = $15, updated_at_ms = $16, terms_version = $17,
    photos = $18, title_folded = $19, words = listing_words($19, $20), fold_version = $21
WHERE listing_id = $1;

-- delete_listing --
-- Forget a locked draft. Index: listings_pkey.
DELETE FROM listings WHERE listing_id = $1;

-- list_own --
-- A seller's listings of these statuses ($4) below an id, newest first, at most $3.
-- Index: listings_seller, backward, one range per status; rows are read for the page alone.
WITH page AS MATERIALIZED (
    SELECT found.*
    FROM unnest($4::text[]) AS wanted (status)
    CROSS JOIN LATERAL (
        SELECT listing_id FROM listings
        WHERE seller_id = $1 AND listings.status = wanted.status AND listing_id < $2
        ORDER BY listing_id DESC LIMIT $3
    ) AS found
    ORDER BY listing_id DESC LIMIT $3
)
SELECT listing_id, seller_id, status, version, title, description, category, condition, price_minor, currency,
       ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lon, weight_g, volume_cm3, quantity, attributes,
       created_at_ms, updated_at_ms, reserved, auctioned, terms_version, photos
FROM page JOIN listings USING (listing_id)
ORDER BY listing_id DESC;

-- read_categories --
-- The whole tree, parents before children, in display order. About a hundred rows.
SELECT c.slug, c.name, c.parent_slug
FROM categories c LEFT JOIN categories parent ON parent.slug = c.parent_slug
ORDER BY c.parent_slug IS NOT NULL, parent.place, c.place;

-- read_branch --
-- The slugs of a category and all its descendants; no row when there is no such category. Index: categories_pkey.
WITH RECURSIVE branch AS (
    SELECT slug FROM categories WHERE slug = $1
    UNION
    SELECT c.slug FROM categories c JOIN branch ON c.parent_slug = branch.slug
)
SELECT slug FROM branch;

-- count_listings --
-- How many listings each seller has made, drafts included. At most one row a seller. Index: listings_seller.
SELECT seller_id, count(*) AS made FROM listings WHERE seller_id = ANY($1::uuid[]) GROUP BY seller_id;

-- list_unfolded --
-- Listings above an id that were folded by another version than $2, ascending, at most $3. Index: listings_pkey.
-- Locks: the rows until commit.
SELECT listing_id, title, description FROM listings
WHERE listing_id > $1 AND fold_version <> $2 ORDER BY listing_id LIMIT $3 FOR NO KEY UPDATE;

-- write_folded --
-- The words of locked listings: ids, titles and descriptions as they are folded by version $4. Index: listings_pkey.
UPDATE listings SET title_folded = f.title, words = listing_words(f.title, f.description), fold_version = $4
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS f (listing_id, title, description)
WHERE listings.listing_id = f.listing_id;
