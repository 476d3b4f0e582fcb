-- lock_accounts --
-- All of these (owner, currency, purpose, stripe), in no order; no row where one of them is missing, so that who makes it
-- waits for nobody with locked rows. Index: the unique one, twice. Locks: the rows, in the order of that index, until
-- commit.
SELECT account_id, owner_id, currency, purpose, stripe, balance_minor, entries, frozen
FROM accounts
WHERE (owner_id, currency, purpose, stripe) IN (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[])
)
AND cardinality($1) = (
    SELECT count(*) FROM accounts
    WHERE (owner_id, currency, purpose, stripe) IN (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[])
    )
)
ORDER BY owner_id, currency, purpose, stripe
FOR UPDATE;

-- create_accounts --
-- Nothing. Accounts at zero, where there are none: two who spend from an account that does not exist yet must meet at a
-- row. Locks: the new rows, in the order of the unique index, until commit.
INSERT INTO accounts (owner_id, currency, purpose, stripe)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[]) AS missing (owner_id, currency, purpose, stripe)
ORDER BY owner_id, currency, purpose, stripe
ON CONFLICT DO NOTHING;

-- update_accounts --
-- Nothing. Write the balances of locked accounts. Index: accounts_pkey.
UPDATE accounts AS a SET balance_minor = moved.balance_minor, entries = moved.entries
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS moved (account_id, balance_minor, entries)
WHERE a.account_id = moved.account_id;

-- freeze_account --
-- Nothing. Freeze or thaw an account, also one that nothing was booked on yet. Index: the unique one. Locks: the row.
INSERT INTO accounts (owner_id, currency, purpose, frozen) VALUES ($1, $2, $3, $4)
ON CONFLICT (owner_id, currency, purpose, stripe) DO UPDATE SET frozen = excluded.frozen;

-- read_wallets --
-- What an owner has by currency and purpose, in that order. Index: the unique one, one range.
SELECT currency, purpose, sum(balance_minor)::bigint AS balance_minor, bool_or(frozen) AS frozen
FROM accounts WHERE owner_id = $1
GROUP BY currency, purpose ORDER BY currency, purpose;

-- find_debts --
-- Which of these owners owe something in these currencies. Rows: owner_id, currency. Index: the unique one.
SELECT owner_id, currency FROM accounts
WHERE (owner_id, currency) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
  AND purpose = 'receivable' AND stripe = 0 AND balance_minor < 0;

-- find_account --
-- The id of one account of a user; 0 or 1 row. Index: the unique one.
SELECT account_id FROM accounts WHERE owner_id = $1 AND currency = $2 AND purpose = $3 AND stripe = 0;

-- list_entries --
-- Entries of an account below a number, newest first, at most $3. Indexes: transfers_debit and transfers_credit, one
-- range each, backward.
SELECT * FROM (
    (SELECT transfer_id, debit_number AS number, -amount_minor AS amount_minor, debit_balance_minor AS balance_minor,
            reason, ref, at_ms
     FROM transfers WHERE debit_account = $1 AND debit_number < $2 ORDER BY debit_number DESC LIMIT $3)
    UNION ALL
    (SELECT transfer_id, credit_number, amount_minor, credit_balance_minor, reason, ref, at_ms
     FROM transfers WHERE credit_account = $1 AND credit_number < $2 ORDER BY credit_number DESC LIMIT $3)
) AS entries ORDER BY number DESC LIMIT $3;

-- read_totals --
-- The sum of all accounts by currency and purpose, and of all open holds by currency as purpose `open_holds`: one
-- snapshot. Reads every account and every open hold.
SELECT currency, purpose, sum(balance_minor)::numeric AS balance_minor FROM accounts GROUP BY currency, purpose
UNION ALL
SELECT currency, 'open_holds', sum(amount_minor)::numeric FROM holds WHERE status = 'held' GROUP BY currency
ORDER BY 1, 2;
