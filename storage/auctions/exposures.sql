-- lock_exposures --
-- Limit and use of these pairs of user and currency, when all of them have a row; else no row at all. Index:
-- exposures_pkey. Locks: the rows until commit, in the order of users and currencies.
WITH wanted AS MATERIALIZED (
    SELECT user_id, currency FROM unnest($1::uuid[], $2::text[]) AS w (user_id, currency)
)
SELECT e.user_id, e.currency, e.limit_minor, e.used
FROM exposures AS e JOIN wanted AS w USING (user_id, currency)
WHERE NOT EXISTS (
    SELECT FROM wanted AS m WHERE NOT EXISTS (
        SELECT FROM exposures AS x WHERE x.user_id = m.user_id AND x.currency = m.currency
    )
)
ORDER BY e.user_id, e.currency FOR UPDATE OF e;

-- make_exposures --
-- The same when some have no row yet: rows are made and locked in one order, so that two makers cannot wait for each
-- other, and a user's first two bids cannot both see no row. One row each. Index: exposures_pkey.
INSERT INTO exposures AS e (user_id, currency)
SELECT user_id, currency FROM unnest($1::uuid[], $2::text[]) AS w (user_id, currency)
ORDER BY user_id, currency
ON CONFLICT (user_id, currency) DO UPDATE SET used = e.used
RETURNING user_id, currency, limit_minor, used;

-- change_used --
-- Add to what users lead with. One row each. Index: exposures_pkey. Locks: the rows until commit, in the order of users and
-- currencies.
WITH locked AS MATERIALIZED (
    SELECT e.user_id, e.currency, w.change
    FROM exposures AS e
    JOIN unnest($1::uuid[], $2::text[], $3::bigint[]) AS w (user_id, currency, change) USING (user_id, currency)
    ORDER BY e.user_id, e.currency FOR UPDATE OF e
)
UPDATE exposures AS e SET used = e.used + l.change
FROM locked AS l WHERE e.user_id = l.user_id AND e.currency = l.currency;

-- set_exposure_limit --
-- Give a user a limit, or the default with null. Returns one row with the use. Index: exposures_pkey. Locks: the row.
INSERT INTO exposures (user_id, currency, limit_minor) VALUES ($1, $2, $3)
ON CONFLICT (user_id, currency) DO UPDATE SET limit_minor = excluded.limit_minor
RETURNING user_id, currency, limit_minor, used;

-- read_exposure --
-- One user's limit and use in one currency. 0 or 1 row. Index: exposures_pkey.
SELECT user_id, currency, limit_minor, used FROM exposures WHERE user_id = $1 AND currency = $2;
