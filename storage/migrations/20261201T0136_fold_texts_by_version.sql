-- Text is folded to words before it reaches the database (`protocols/texts.py`); a row keeps the version that folded it. The
-- timers fold the rows that are there, page by page, beside the serving.
ALTER TABLE listings
    ALTER COLUMN words DROP EXPRESSION,
    ALTER COLUMN words SET DEFAULT '',
    ALTER COLUMN title_folded DROP EXPRESSION,
    ALTER COLUMN title_folded SET DEFAULT '',
    ADD COLUMN fold_version smallint NOT NULL DEFAULT 0;
ALTER TABLE goods_rules ALTER COLUMN query DROP EXPRESSION, ADD COLUMN fold_version smallint NOT NULL DEFAULT 0;
ALTER TABLE saved_searches ADD COLUMN fold_version smallint NOT NULL DEFAULT 0;

-- English stems find `bikes` by `bike`; plain words find every other language.
CREATE FUNCTION text_words(folded text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_tsvector('simple', folded) || to_tsvector('english', folded);

-- Titles weigh more, stems a little less.
CREATE FUNCTION listing_words(title text, description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN setweight(to_tsvector('simple', title), 'A')
    || setweight(to_tsvector('english', title), 'B')
    || setweight(to_tsvector('simple', description), 'C')
    || setweight(to_tsvector('english', description), 'D');

-- What a rule of goods looks for; null when it has no words.
CREATE FUNCTION words_query(folded text) RETURNS tsquery
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN folded <> '' THEN
    websearch_to_tsquery('english', folded) || websearch_to_tsquery('simple', folded)
END;

DROP FUNCTION fold_text;

INSERT INTO timers (due_at_ms, kind, ref)
SELECT 0, kind, '00000000-0000-0000-0000-000000000000'
FROM unnest(ARRAY['fold_rules', 'fold_listings', 'fold_searches']) AS kind;
