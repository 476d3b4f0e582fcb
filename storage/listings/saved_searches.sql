-- lock_user --
-- Nothing. Locks: the saved searches of one user, until commit.
SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 7161963));

-- count_searches --
-- How many searches a user keeps. One row. Index: saved_searches_user.
SELECT count(*) FROM saved_searches WHERE user_id = $1;

-- insert_search --
-- Add a saved search.
INSERT INTO saved_searches (
    search_id, user_id, name, notify, filters, created_at_ms, updated_at_ms, asked_words, asked_category,
    asked_condition, asked_min_price, asked_max_price, asked_currency, asked_seller_id, asked_point, asked_radius_m,
    fold_version
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8::text::tsquery, $9, $10, $11, $12, $13, $14,
    ST_SetSRID(ST_MakePoint($15, $16), 4326)::geography, $17, $18
);

-- update_search --
-- Write a locked saved search back. Index: saved_searches_pkey.
UPDATE saved_searches SET
    name = $3, notify = $4, filters = $5, created_at_ms = $6, updated_at_ms = $7, asked_words = $8::text::tsquery, asked_category = $9,
    asked_condition = $10, asked_min_price = $11, asked_max_price = $12, asked_currency = $13, asked_seller_id = $14,
    asked_point = ST_SetSRID(ST_MakePoint($15, $16), 4326)::geography, asked_radius_m = $17,
    fold_version = $18
WHERE search_id = $1 AND user_id = $2;

-- lock_search --
-- A saved search of a user. 0 or 1 row. Index: saved_searches_pkey. Locks: the row until commit.
SELECT search_id, user_id, name, notify, filters, created_at_ms, updated_at_ms FROM saved_searches
WHERE search_id = $1 AND user_id = $2 FOR UPDATE;

-- delete_search --
-- Forget a saved search of a user. One row when there was one. Index: saved_searches_pkey.
DELETE FROM saved_searches WHERE search_id = $1 AND user_id = $2 RETURNING 1;

-- list_searches --
-- A user's saved searches below an id, newest first, at most $3. Index: saved_searches_user, backward.
SELECT search_id, user_id, name, notify, filters, created_at_ms, updated_at_ms FROM saved_searches
WHERE user_id = $1 AND search_id < $2 ORDER BY search_id DESC LIMIT $3;

-- read_facts --
-- What matching needs to know of an active listing beside its words, its categories from its own upwards. 0 or 1 row.
-- Index: listings_pkey.
WITH RECURSIVE above AS (
    SELECT c.slug, c.parent_slug, 0 AS depth FROM categories AS c JOIN listings AS l ON c.slug = l.category
    WHERE l.listing_id = $1
    UNION ALL
    SELECT c.slug, c.parent_slug, above.depth + 1 FROM categories AS c JOIN above ON c.slug = above.parent_slug
)
SELECT listing_id, seller_id, title, price_minor, currency, ST_Y(location::geometry) AS lat,
       ST_X(location::geometry) AS lon, (SELECT array_agg(slug ORDER BY depth) FROM above) AS categories,
       photos -> 0 ->> 'photo_id' AS photo_id
FROM listings WHERE listing_id = $1 AND status = 'active';

-- delete_anchors --
-- Take a saved search out of the file. Index: saved_search_anchors_search.
DELETE FROM saved_search_anchors WHERE search_id = $1;

-- insert_anchors --
-- File a saved search under anchors.
INSERT INTO saved_search_anchors (anchor, search_id) SELECT anchor, $1 FROM unnest($2::text[]) AS anchor;

-- take_unnotified --
-- Searches whose owners are to be notified of a listing, at most $2, by user; they count as notified. Rows: search_id, user_id, name.
-- Index: saved_search_matches_untold. Locks: the rows, skipping those of other workers.
UPDATE saved_search_matches AS m SET told = true
FROM (
    SELECT search_id FROM saved_search_matches WHERE listing_id = $1 AND NOT told
    ORDER BY user_id LIMIT $2 FOR UPDATE SKIP LOCKED
) AS next JOIN saved_searches AS s USING (search_id)
WHERE m.search_id = next.search_id AND m.listing_id = $1
RETURNING m.search_id, m.user_id, s.name;

-- delete_unnotified --
-- Forget who has not been told of a listing. Index: saved_search_matches_untold.
DELETE FROM saved_search_matches WHERE listing_id = $1 AND NOT told;

-- list_unfolded --
-- Saved searches above an id that were folded by another version than $2, ascending, at most $3.
-- Index: saved_searches_pkey. Locks: the rows until commit.
SELECT search_id, user_id, name, notify, filters, created_at_ms, updated_at_ms FROM saved_searches
WHERE search_id > $1 AND fold_version <> $2 ORDER BY search_id LIMIT $3 FOR UPDATE;

-- write_folded --
-- What a locked saved search looks for, by version $3. Index: saved_searches_pkey.
UPDATE saved_searches SET asked_words = $2::text::tsquery, fold_version = $3 WHERE search_id = $1;
