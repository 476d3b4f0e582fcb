-- read_state --
-- What the last check found: 1 row. Index: none, one row.
SELECT checked_at_ms, totals, audited_account, audited_at_ms FROM treasury_state;

-- write_totals --
-- Nothing. Keep the totals of a check.
UPDATE treasury_state SET checked_at_ms = $1, totals = $2;

-- write_audited --
-- Nothing. Keep how far the audit is ($1: the last account), and when it last came to an end ($2: 0, not now).
UPDATE treasury_state SET audited_account = $1, audited_at_ms = greatest(audited_at_ms, $2);

-- add_up_accounts --
-- The next accounts after $1, at most $2, with their transfers from the last check on added up, at most $3 in all; the
-- last account may be added up in part. One snapshot. Indexes: accounts_pkey, account_checks_pkey, account_faults_pkey,
-- transfers_debit and transfers_credit, one range each per account.
WITH next AS (
    SELECT a.account_id, a.owner_id, a.currency, a.purpose, a.balance_minor, a.entries,
           coalesce(c.number, 0) AS number, coalesce(c.balance_minor, 0) AS checked_minor,
           f.account_id IS NOT NULL AS known
    FROM accounts AS a
    LEFT JOIN account_checks AS c USING (account_id)
    LEFT JOIN account_faults AS f USING (account_id)
    WHERE a.account_id > $1 ORDER BY a.account_id LIMIT $2
), room AS (
    SELECT *, coalesce(sum(entries - number) OVER (
        ORDER BY account_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0)::bigint AS before FROM next
), part AS (
    SELECT *, least(entries, number + $3::bigint - before) AS upto FROM room WHERE before < $3::bigint
)
SELECT p.account_id, p.owner_id, p.currency, p.purpose, p.balance_minor, p.entries, p.number, p.upto, p.known,
       p.checked_minor + coalesce(moved.total, 0) AS expected_minor
FROM part AS p CROSS JOIN LATERAL (
    SELECT sum(amount_minor) AS total FROM (
        SELECT -amount_minor AS amount_minor FROM transfers
        WHERE debit_account = p.account_id AND debit_number > p.number AND debit_number <= p.upto
        UNION ALL
        SELECT amount_minor FROM transfers
        WHERE credit_account = p.account_id AND credit_number > p.number AND credit_number <= p.upto
    ) AS entries
) AS moved
ORDER BY p.account_id;

-- write_checks --
-- Nothing. Keep how far accounts were added up. Index: account_checks_pkey.
INSERT INTO account_checks (account_id, number, balance_minor)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::numeric[])
ON CONFLICT (account_id) DO UPDATE SET number = excluded.number, balance_minor = excluded.balance_minor;

-- write_faults --
-- Nothing. Keep accounts whose balance is wrong, with what it should be. Index: account_faults_pkey.
INSERT INTO account_faults (account_id, expected_minor, found_at_ms)
SELECT account_id, expected_minor, $3 FROM unnest($1::bigint[], $2::numeric[]) AS found (account_id, expected_minor)
ON CONFLICT (account_id) DO UPDATE SET expected_minor = excluded.expected_minor;

-- delete_faults --
-- Nothing. Forget what was wrong and is right again. Index: account_faults_pkey.
DELETE FROM account_faults WHERE account_id = ANY ($1::bigint[]);

-- list_faults --
-- Accounts whose balance is wrong, the first found first, at most $1. Index: accounts_pkey for each.
SELECT a.owner_id, a.currency, a.purpose, a.balance_minor, f.expected_minor, f.found_at_ms
FROM account_faults AS f JOIN accounts AS a USING (account_id) ORDER BY f.found_at_ms, f.account_id LIMIT $1;

-- count_faults --
-- How many accounts are wrong: 1 row.
SELECT count(*) FROM account_faults;
