-- A filter by price names its currency. Saved searches without one lose their bounds, since nobody can say what they meant; so
-- that none of them begins to notify of everything, those that asked for little else are silent until their owner says more.
UPDATE saved_searches SET
    notify = notify AND (asked_words IS NOT NULL OR asked_category IS NOT NULL OR asked_seller_id IS NOT NULL),
    filters = (filters::jsonb - 'min_price' - 'max_price')::json,
    asked_min_price = NULL,
    asked_max_price = NULL
WHERE asked_min_price IS NOT NULL AND asked_currency IS NULL;
