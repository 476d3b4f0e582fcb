-- plan_search --
-- Settings for the rest of this transaction: plans made for the words at hand (a rare and a common word need different
-- ones), no parallel workers (two cores serve many searches), and how alike a misspelt title must be.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('random_page_cost', '1.1', true),
       set_config('pg_trgm.word_similarity_threshold', '0.4', true);

-- read_words --
-- A folded query ($1) as searches: `ranked` for stems or plain words, `words` for the stems alone where that finds the same. It does without `or` and `-`: a text that has the words has their stems, since titles and
-- descriptions are stored as both. One row; `words` is null when nothing in the text can be searched for.
WITH parsed AS (
    SELECT websearch_to_tsquery('english', $1) AS stems, websearch_to_tsquery('simple', $1) AS plain
), joined AS (
    SELECT stems, plain,
           CASE WHEN numnode(plain) = 0 THEN NULL
                WHEN numnode(stems) = 0 OR stems = plain THEN plain
                ELSE stems || plain END AS ranked
    FROM parsed
)
SELECT ranked::text,
       CASE WHEN numnode(stems) = 0 OR plain::text ~ '[|!]' THEN ranked::text ELSE stems::text END AS words
FROM joined;

-- has_words --
-- Whether any active listing has the words. One row. Index: listings_words.
SELECT EXISTS (SELECT 1 FROM listings WHERE status = 'active' AND words @@ $1::text::tsquery) AS found;

-- sample_similar --
-- The share of the newest $2 active listings whose title is spelt like the text. One row. Index: listings_newest.
SELECT coalesce(avg((title_folded %> $1)::int), 0)::float8 AS share
FROM (SELECT title_folded FROM listings WHERE status = 'active' ORDER BY listing_id DESC LIMIT $2) AS newest;
