-- lock_versions --
-- Nothing. Locks: new versions of the commission rules, until commit.
SELECT pg_advisory_xact_lock(hashtext('commission_versions'), 0);

-- read_newest --
-- The number of the newest version, 0 without one. One row. Index: commission_versions_pkey backward.
SELECT coalesce(max(version), 0) AS version FROM commission_versions;

-- insert_version --
-- Nothing. A version of the commission rules.
INSERT INTO commission_versions (version, effective_from_ms, rules, taxes, set_by, set_at_ms)
VALUES ($1, $2, $3, $4, $5, $6);

-- read_effective --
-- The version that holds at an instant. 0 or 1 row. Index: commission_versions_effective backward.
SELECT version, effective_from_ms, rules, taxes, set_by, set_at_ms FROM commission_versions
WHERE effective_from_ms <= $1 ORDER BY effective_from_ms DESC, version DESC LIMIT 1;

-- list_versions --
-- Versions below a number, newest first, at most $2. Index: commission_versions_pkey backward.
SELECT version, effective_from_ms, rules, taxes, set_by, set_at_ms FROM commission_versions
WHERE version < $1 ORDER BY version DESC LIMIT $2;
