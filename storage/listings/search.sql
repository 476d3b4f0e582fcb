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
