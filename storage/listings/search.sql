-- plan_search --
-- Settings for the rest of this transaction: plans made for the words at hand (a rare and a common word need different
-- ones), no parallel workers (two cores serve many searches), and how alike a misspelt title must be.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('random_page_cost', '1.1', true),
       set_config('pg_trgm.word_similarity_threshold', '0.4', true);

-- read_words --
-- What a person typed, folded as titles are, and as a search for stems or plain words. One row; `words` is null when
-- nothing in the text can be searched for.
WITH parsed AS (
    SELECT folded, websearch_to_tsquery('english', folded) AS stems, websearch_to_tsquery('simple', folded) AS plain
    FROM fold_text($1) AS folded
)
SELECT folded,
       CASE WHEN numnode(plain) = 0 THEN NULL
            WHEN numnode(stems) = 0 OR stems = plain THEN plain::text
            ELSE (stems || plain)::text END AS words
FROM parsed;

-- has_words --
-- Whether any active listing has the words. One row. Index: listings_words.
SELECT EXISTS (SELECT 1 FROM listings WHERE status = 'active' AND words @@ $1::text::tsquery) AS found;

-- filter_active --
-- Always there; it is the condition of the partial indexes.
status = 'active'

-- filter_words --
-- Index: listings_words.
words @@ {words}::text::tsquery

-- filter_similar --
-- Some stretch of the title is spelt like the text. Index: listings_title_similar.
title_folded %> {folded}::text

-- filter_category --
-- Index: listings_category.
category = ANY ({categories}::text[])

-- filter_condition --
-- No index: four values.
condition = {condition}

-- filter_price --
-- Both ends are inside. Index: listings_cheapest, so the expression is the same; no price is above every bound.
coalesce(price_minor, 9007199254740992) BETWEEN {min_price}::bigint AND {max_price}::bigint

-- filter_currency --
-- No index: few values.
currency = {currency}

-- filter_seller --
-- Index: listings_seller.
seller_id = {seller_id}

-- filter_near --
-- Index: listings_location. A box and a distance instead of ST_DWithin, whose built-in guess of ten rows makes the planner
-- take the index also for circles that hold half the table. Distances are on the sphere.
(location && _ST_Expand({point}, {radius_m}::float8) AND (location <-> {point}) <= {radius_m}::float8)

-- filter_bound --
-- What was listed up to the first page; index: listings_newest.
listing_id <= {bound}

-- point --
-- The place to measure from.
ST_SetSRID(ST_MakePoint({lon}::float8, {lat}::float8), 4326)::geography

-- key_newest --
-- What a page is sorted by beside the id: nothing, ids ascend with creation.
NULL::bigint

-- order_newest --
-- Index: listings_newest, backward.
listing_id DESC

-- after_newest --
-- What follows a row in that order.
listing_id < {after_id}::uuid

-- key_price_asc --
-- Listings without a price come last.
coalesce(price_minor, 9007199254740992)

-- order_price_asc --
-- Index: listings_cheapest.
coalesce(price_minor, 9007199254740992), listing_id

-- after_price_asc --
-- What follows a row in that order.
(coalesce(price_minor, 9007199254740992), listing_id) > ({after_key}::bigint, {after_id}::uuid)

-- key_price_desc --
-- Listings without a price come last.
coalesce(price_minor, 0)

-- order_price_desc --
-- Index: listings_dearest, backward.
coalesce(price_minor, 0) DESC, listing_id DESC

-- after_price_desc --
-- What follows a row in that order.
(coalesce(price_minor, 0), listing_id) < ({after_key}::bigint, {after_id}::uuid)

-- key_distance --
-- Metres on the sphere.
(location <-> {point})

-- order_distance --
-- Index: listings_location.
(location <-> {point}), listing_id

-- after_distance --
-- What follows a row in that order.
((location <-> {point}), listing_id) > ({after_key}::float8, {after_id}::uuid)

-- after_relevance --
-- What follows a row, best first.
(score, listing_id) < ({after_key}::float8, {after_id}::uuid)

-- no_condition --
-- The first page has nothing before it.
true

-- no_value --
-- A distance from nowhere, a score without words.
NULL::float8

-- score_words --
-- How well a listing fits the words, longer texts weighing less.
ts_rank(words, {words}::text::tsquery, 1)::float8

-- score_similar --
-- How alike the text and the best stretch of the title are.
word_similarity({folded}::text, title_folded)::float8

-- matches --
-- The newest matches, bounded, with what facets and relevance need.
SELECT listing_id, category, condition, currency, price_minor, {score} AS score
FROM listings WHERE {filters}
ORDER BY listing_id DESC LIMIT {matches_max}

-- page_by_score --
-- One page of the bounded matches, best first; the first row carries the facets.
WITH matches AS MATERIALIZED ({matches}),
page AS MATERIALIZED (
    SELECT listing_id, score AS sort_key FROM matches WHERE {after}
    ORDER BY score DESC, listing_id DESC LIMIT {limit}
)
SELECT {columns}, page.sort_key,
       (SELECT listing_id FROM matches ORDER BY listing_id DESC LIMIT 1) AS bound,
       CASE WHEN row_number() OVER (ORDER BY page.sort_key DESC, listing_id DESC) = 1 THEN {facets} END AS facets
FROM page JOIN listings USING (listing_id)
ORDER BY page.sort_key DESC, listing_id DESC;

-- page_by_key --
-- One page along an index.
SELECT {columns}, {sort_key} AS sort_key
FROM listings WHERE {filters} AND {after}
ORDER BY {order} LIMIT {limit};

-- columns --
-- What a list shows of a listing.
listing_id, seller_id, status, version, title, category, condition, price_minor, currency,
ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lon, weight_g, volume_cm3, quantity, created_at_ms,
updated_at_ms, {distance} AS distance_m

-- count_matches --
-- The facets alone. One row.
WITH matches AS MATERIALIZED ({matches}) SELECT {facets} AS facets;

-- facets --
-- Counts over `matches` as one JSON object; bands are places in the array of lower ends.
(SELECT json_build_object(
    'matches', (SELECT count(*) FROM matches),
    'category', (
        SELECT coalesce(json_agg(json_build_object('value', category, 'count', n) ORDER BY n DESC, category), '[]')
        FROM (
            SELECT category, count(*) AS n FROM matches GROUP BY category ORDER BY n DESC, category LIMIT 20
        ) AS counted
    ),
    'condition', (
        SELECT coalesce(json_agg(json_build_object('value', condition, 'count', n) ORDER BY n DESC, condition), '[]')
        FROM (SELECT condition, count(*) AS n FROM matches GROUP BY condition) AS counted
    ),
    'currency', (
        SELECT coalesce(json_agg(json_build_object('value', currency, 'count', n) ORDER BY n DESC, currency), '[]')
        FROM (
            SELECT currency, count(*) AS n FROM matches WHERE currency IS NOT NULL GROUP BY currency
            ORDER BY n DESC, currency LIMIT 20
        ) AS counted
    ),
    'bands', (
        SELECT coalesce(json_agg(json_build_array(currency, band, n) ORDER BY band), '[]')
        FROM (
            SELECT currency, width_bucket(price_minor, {band_starts}::bigint[]) AS band, count(*) AS n
            FROM matches
            WHERE currency = (
                SELECT currency FROM matches WHERE currency IS NOT NULL
                GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1
            )
            GROUP BY currency, band
        ) AS counted
    )
))

-- no_facets --
-- Later pages have none.
NULL::json
