-- A market of listings to search, in place of what is there; the same in every run.
-- How many words a text has, and how often each of them occurs, is what makes a search cheap or dear: `original` stands in
-- 89 of 100 titles, `vintage` in 40, `walnut` in 10, `sextant` in one of a thousand, `zyxomma` in six titles of all.
-- Descriptions have forty words, the n-th of four thousand being about n times as rare as the first.
-- Half of the goods lie around twenty cities; the rest anywhere.
TRUNCATE listings CASCADE;
SELECT setseed(0.42);

CREATE TEMPORARY TABLE cities AS
SELECT * FROM (VALUES
    (1, 52.52, 13.405), (2, 48.857, 2.352), (3, 51.507, -0.128), (4, 41.008, 28.978), (5, 30.044, 31.236),
    (6, 24.714, 46.675), (7, 25.205, 55.271), (8, 31.954, 35.911), (9, 33.894, 35.502), (10, 33.573, -7.59),
    (11, 36.807, 10.182), (12, 40.417, -3.704), (13, 41.903, 12.496), (14, 59.329, 18.069), (15, 40.713, -74.006),
    (16, 43.653, -79.383), (17, -23.551, -46.633), (18, -1.292, 36.822), (19, 35.676, 139.65), (20, 3.139, 101.687)
) AS known (city, lat, lon);

CREATE TEMPORARY TABLE slugs AS
SELECT slug, row_number() OVER (ORDER BY place, slug) AS rank FROM categories WHERE parent_slug IS NOT NULL;

INSERT INTO listings (
    listing_id, seller_id, status, title, description, category, condition, price_minor, currency, location,
    weight_g, quantity, attributes, created_at_ms, updated_at_ms
)
SELECT (lpad(to_hex(at_ms), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid,
       ('019aa000-0000-7000-8000-' || lpad(to_hex(n % 5000), 12, '0'))::uuid,
       CASE WHEN die[1] < 0.9 THEN 'active' WHEN die[1] < 0.98 THEN 'sold' ELSE 'withdrawn' END,
       concat_ws(
           ' ', CASE WHEN die[2] < 0.89 THEN 'Original' END, CASE WHEN die[3] < 0.4 THEN 'vintage' END,
           CASE WHEN die[4] < 0.1 THEN 'walnut' END, CASE WHEN die[5] < 0.001 THEN 'sextant' END,
           CASE WHEN n % 17000 = 11 THEN 'zyxomma' END,
           'thing' || floor(exp(die[6] * ln(900)))::int, 'lot' || n % 997
       ),
       (SELECT string_agg('word' || floor(exp(random() * ln(4000)))::int, ' ') FROM generate_series(1, 40 + n % 2)),
       (SELECT slug FROM slugs WHERE rank = ceil(exp(die[7] * ln(82)))::int),
       (ARRAY['new', 'like_new', 'used', 'used', 'for_parts'])[1 + floor(die[8] * 5)::int],
       CASE WHEN die[9] > 0.05 THEN ceil(exp(4 + 9 * die[10]))::bigint END,
       CASE WHEN die[9] > 0.05 THEN
           (ARRAY['EUR', 'EUR', 'EUR', 'EUR', 'USD', 'USD', 'GBP', 'EGP', 'SAR', 'JPY'])[1 + floor(die[11] * 10)::int]
       END,
       CASE WHEN die[12] < 0.5
           THEN ST_SetSRID(ST_MakePoint(lon + (die[13] - 0.5) * die[14], lat + (die[14] - 0.5) * die[13]), 4326)
           ELSE ST_SetSRID(ST_MakePoint(360 * die[13] - 180, 140 * die[14] - 60), 4326)
       END::geography,
       1 + floor(die[15] * 5000)::int, 1, '{}', at_ms, at_ms
FROM (
    SELECT n, 1790000000000 + n::bigint * 60000 AS at_ms, ARRAY(SELECT random() FROM generate_series(1, 15 + n * 0)) AS die
    FROM generate_series(1, 100000) AS n
) AS made
JOIN cities ON city = 1 + n % 20
ORDER BY n;

-- All of it is ASCII, which folds to lower case.
UPDATE listings SET title_folded = lower(title), words = listing_words(lower(title), lower(description)), fold_version = 1;

VACUUM FULL ANALYZE listings;
