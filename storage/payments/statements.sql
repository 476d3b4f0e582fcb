-- find_account --
-- The id of one account of a user and the number of its last entry; 0 or 1 row. Index: the unique one.
SELECT account_id, entries FROM accounts WHERE owner_id = $1 AND currency = $2 AND purpose = $3 AND stripe = 0;

-- find_entry --
-- The number of an account's first entry at or after an instant ($3), $2 + 1 if there is none up to $2: 1 row. Instants
-- ascend with numbers, except among entries that were booked beside one another: a bisection finds the place, and the
-- thousand entries before it are looked at. Indexes: transfers_debit and transfers_credit, two probes for each step, and
-- a range each.
WITH RECURSIVE search (low, high) AS (
    SELECT 0::bigint, $2::bigint + 1
    UNION ALL
    SELECT CASE WHEN at_ms < $3 THEN middle ELSE low END, CASE WHEN at_ms < $3 THEN high ELSE middle END
    FROM (
        SELECT low, high, (low + high) / 2 AS middle, (
            SELECT at_ms FROM transfers WHERE debit_account = $1 AND debit_number = (low + high) / 2
            UNION ALL
            SELECT at_ms FROM transfers WHERE credit_account = $1 AND credit_number = (low + high) / 2
        ) AS at_ms
        FROM search WHERE high - low > 1
    ) AS step
), found AS (
    SELECT high FROM search WHERE high - low <= 1
)
SELECT least(found.high, (
    SELECT min(number) FROM (
        SELECT debit_number AS number FROM transfers
        WHERE debit_account = $1 AND debit_number >= found.high - 1000 AND debit_number < found.high AND at_ms >= $3
        UNION ALL
        SELECT credit_number FROM transfers
        WHERE credit_account = $1 AND credit_number >= found.high - 1000 AND credit_number < found.high AND at_ms >= $3
    ) AS near
)) AS number
FROM found;

-- list_entries_from --
-- Entries of an account from one number ($2) until before another ($3), oldest first, at most $4. Indexes:
-- transfers_debit and transfers_credit, one range each.
SELECT * FROM (
    (SELECT transfer_id, debit_number AS number, -amount_minor AS amount_minor, debit_balance_minor AS balance_minor,
            reason, ref, at_ms
     FROM transfers WHERE debit_account = $1 AND debit_number >= $2 AND debit_number < $3
     ORDER BY debit_number LIMIT $4)
    UNION ALL
    (SELECT transfer_id, credit_number, amount_minor, credit_balance_minor, reason, ref, at_ms
     FROM transfers WHERE credit_account = $1 AND credit_number >= $2 AND credit_number < $3
     ORDER BY credit_number LIMIT $4)
) AS entries ORDER BY number LIMIT $4;
