-- read_matching_rules --
-- Rules of these countries ($1) that goods of a category ($2, null for none) with a folded text ($3, other readings of
-- it $5) fall under, prohibitions first, at most $4. Index: goods_rules_country.
WITH RECURSIVE above AS (
    SELECT slug, parent_slug FROM categories WHERE slug = $2
    UNION ALL
    SELECT c.slug, c.parent_slug FROM categories AS c JOIN above ON c.slug = above.parent_slug
), goods AS (
    SELECT text_words($3) || text_words($5) AS words
)
SELECT rule_id, kind, country, reason, source FROM goods_rules, goods
WHERE is_newest AND NOT removed AND country = ANY ($1::text[])
  AND (category IS NULL OR category IN (SELECT slug FROM above)) AND (query IS NULL OR goods.words @@ query)
ORDER BY kind, country = '*', rule_id LIMIT $4;

-- list_rules --
-- Rules that hold above an id, ascending, at most $3, of one country unless $2 is null. Index: goods_rules_newest.
SELECT rule_id, version, removed, country, category, words, kind, reason, source, set_at_ms FROM goods_rules
WHERE is_newest AND NOT removed AND rule_id > $1 AND ($2::text IS NULL OR country = $2) ORDER BY rule_id LIMIT $3;

-- read_versions --
-- Versions of a rule, newest first, at most $2. Index: goods_rules_pkey, backward.
SELECT rule_id, version, removed, country, category, words, kind, reason, source, set_at_ms FROM goods_rules
WHERE rule_id = $1 ORDER BY version DESC LIMIT $2;

-- lock_rules --
-- Nothing. Locks: all changes of rules, until commit.
SELECT pg_advisory_xact_lock(7161964);

-- count_rules --
-- How many rules hold. One row. Index: goods_rules_country.
SELECT count(*) FROM goods_rules WHERE is_newest AND NOT removed;

-- retire_version --
-- The newest version of a rule is one no more. Index: goods_rules_newest.
UPDATE goods_rules SET is_newest = false WHERE rule_id = $1 AND is_newest;

-- insert_version --
-- The newest version of a rule.
INSERT INTO goods_rules (
    rule_id, version, removed, country, category, words, kind, reason, source, set_at_ms, set_by, query, fold_version
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, words_query($12), $13);

-- list_unfolded --
-- Versions of rules that were folded by another version of the spelling than $1, at most $2. No index: few rows.
-- Locks: the rows until commit.
SELECT rule_id, version, words FROM goods_rules WHERE fold_version <> $1 LIMIT $2 FOR NO KEY UPDATE;

-- write_folded --
-- What locked versions of rules look for: ids, versions and folded words ($3), by version $4. Index: goods_rules_pkey.
UPDATE goods_rules SET query = words_query(f.words), fold_version = $4
FROM unnest($1::uuid[], $2::int[], $3::text[]) AS f (rule_id, version, words)
WHERE goods_rules.rule_id = f.rule_id AND goods_rules.version = f.version;
