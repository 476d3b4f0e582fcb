-- lock_tables --
-- Nothing. Locks: changes of one currency's increment tables, until commit.
SELECT pg_advisory_xact_lock(hashtext('increment_tables'), hashtext($1));

-- read_newest --
-- The newest increment table of a currency. 0 or 1 row. Index: increment_tables_pkey backward.
SELECT version, step_limits, steps, set_at_ms FROM increment_tables WHERE currency = $1
ORDER BY version DESC LIMIT 1;

-- insert_table --
-- A new version of a currency's increment table.
INSERT INTO increment_tables (currency, version, step_limits, steps, set_by, set_at_ms)
VALUES ($1, $2, $3, $4, $5, $6);

-- list_tables --
-- Versions of a currency's increment table below a number, newest first, at most $3. Index: increment_tables_pkey backward.
SELECT version, step_limits, steps, set_at_ms FROM increment_tables WHERE currency = $1 AND version < $2
ORDER BY version DESC LIMIT $3;
