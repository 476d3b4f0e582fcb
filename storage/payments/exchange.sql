-- read_rates --
-- The newest reference rates: 0 or 1 row.
SELECT source, as_of_ms, fetched_at_ms, rates FROM exchange_rates;

-- write_rates --
-- Nothing. Keep rates, unless newer ones are kept.
INSERT INTO exchange_rates (source, as_of_ms, fetched_at_ms, rates) VALUES ($1, $2, $3, $4)
ON CONFLICT (only_row) DO UPDATE
SET source = excluded.source, as_of_ms = excluded.as_of_ms, fetched_at_ms = excluded.fetched_at_ms, rates = excluded.rates
WHERE exchange_rates.source <> excluded.source OR exchange_rates.as_of_ms <= excluded.as_of_ms;

-- read_terms --
-- What the market asks for in these currencies; no row where nothing was said. Index: exchange_terms_pkey.
SELECT currency, spread_bp, stock_floor_minor FROM exchange_terms WHERE currency = ANY ($1::text[]);

-- write_terms --
-- Nothing. Say what the market asks for in a currency; null: the default. Index: exchange_terms_pkey.
INSERT INTO exchange_terms (currency, spread_bp, stock_floor_minor) VALUES ($1, $2, $3)
ON CONFLICT (currency) DO UPDATE SET spread_bp = excluded.spread_bp, stock_floor_minor = excluded.stock_floor_minor;

-- make_stock --
-- Nothing. A row to wait at for exchanges into a currency. Index: exchange_terms_pkey.
INSERT INTO exchange_terms (currency) VALUES ($1) ON CONFLICT DO NOTHING;

-- lock_stock --
-- 1 row. Exchanges into a currency happen one after the other. Index: exchange_terms_pkey. Locks: the row.
SELECT currency FROM exchange_terms WHERE currency = $1 FOR UPDATE;

-- read_stock --
-- What the market has of a currency: 1 row. Index: the unique one of accounts, one range of 32 rows.
SELECT coalesce(sum(balance_minor), 0)::bigint FROM accounts
WHERE owner_id = '00000000-0000-0000-0000-000000000000' AND currency = $1 AND purpose = 'exchange';

-- lock_quote --
-- A quote of an owner: 0 or 1 row. Index: exchange_quotes_pkey. Locks: the row.
SELECT quote_id, owner_id, sell_currency, sell_minor, buy_currency, gross_minor, spread_minor, stock_floor_minor,
       created_at_ms, expires_at_ms, used, sold_id, bought_id, spread_id
FROM exchange_quotes WHERE quote_id = $1 AND owner_id = $2 FOR UPDATE;

-- use_quote --
-- Nothing. A locked quote is used. Index: exchange_quotes_pkey.
UPDATE exchange_quotes SET used = true WHERE quote_id = $1;

-- delete_old_quotes --
-- Quotes that ended before $1, at most $2, which are what it returns. Index: exchange_quotes_old.
DELETE FROM exchange_quotes WHERE quote_id IN (
    SELECT quote_id FROM exchange_quotes WHERE expires_at_ms < $1
    ORDER BY expires_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING quote_id;
