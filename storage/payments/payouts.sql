-- insert_account --
-- Nothing where the owner has one. Index: payout_accounts_owner_id_key.
INSERT INTO payout_accounts (account_id, owner_id, country, status, created_at_ms) VALUES ($1, $2, $3, 'pending', $4)
ON CONFLICT (owner_id) DO NOTHING;

-- read_own_account --
-- The account of an owner; 0 or 1 row. Index: payout_accounts_owner_id_key.
SELECT account_id, owner_id, country, status, reference FROM payout_accounts WHERE owner_id = $1;

-- read_account --
-- One account; 0 or 1 row. Index: payout_accounts_pkey.
SELECT account_id, owner_id, country, status, reference FROM payout_accounts WHERE account_id = $1;

-- lock_account --
-- One account; 0 or 1 row. Index: payout_accounts_pkey. Locks: the row.
SELECT account_id, owner_id, country, status, reference FROM payout_accounts WHERE account_id = $1 FOR UPDATE;

-- find_account --
-- The account of a reference; 0 or 1 row. Index: payout_accounts_reference.
SELECT account_id FROM payout_accounts WHERE reference = $1 AND reference <> '';

-- update_account --
-- Nothing. Index: payout_accounts_pkey.
UPDATE payout_accounts SET status = $2, reference = $3 WHERE account_id = $1;

-- insert_payout --
-- Nothing.
INSERT INTO payouts (payout_id, owner_id, account_id, currency, amount_minor, status, take_id, end_id, return_id, created_at_ms)
VALUES ($1, $2, $3, $4, $5, 'created', $6, $7, $8, $9);

-- sum_since --
-- What an owner took out since an instant, without what failed or was taken back. Index: payouts_owner, one range.
SELECT coalesce(sum(amount_minor), 0)::bigint FROM payouts
WHERE owner_id = $1 AND currency = $2 AND created_at_ms > $3 AND status NOT IN ('failed', 'canceled');

-- read_payout --
-- One payout with its account's reference; 0 or 1 row. Indexes: payouts_pkey, payout_accounts_pkey.
SELECT p.payout_id, p.owner_id, p.account_id, p.currency, p.amount_minor, p.status, p.sending, p.reference, p.failure,
       p.take_id, p.end_id, p.return_id, p.checks, p.created_at_ms, a.reference AS account
FROM payouts AS p JOIN payout_accounts AS a USING (account_id) WHERE p.payout_id = $1;

-- lock_payout --
-- One payout with its account's reference; 0 or 1 row. Indexes: payouts_pkey, payout_accounts_pkey. Locks: the payout's row.
SELECT p.payout_id, p.owner_id, p.account_id, p.currency, p.amount_minor, p.status, p.sending, p.reference, p.failure,
       p.take_id, p.end_id, p.return_id, p.checks, p.created_at_ms, a.reference AS account
FROM payouts AS p JOIN payout_accounts AS a USING (account_id) WHERE p.payout_id = $1 FOR UPDATE OF p;

-- list_payouts --
-- An owner's payouts before one, newest first, at most $3. Indexes: payouts_owner, backward; payout_accounts_pkey.
SELECT p.payout_id, p.owner_id, p.account_id, p.currency, p.amount_minor, p.status, p.sending, p.reference, p.failure,
       p.take_id, p.end_id, p.return_id, p.checks, p.created_at_ms, a.reference AS account
FROM payouts AS p JOIN payout_accounts AS a USING (account_id)
WHERE p.owner_id = $1 AND p.payout_id < $2 ORDER BY p.payout_id DESC LIMIT $3;

-- find_payout --
-- The payout of a reference; 0 or 1 row. Index: payouts_reference.
SELECT payout_id FROM payouts WHERE reference = $1 AND reference <> '';

-- start_sending --
-- The payout's id, unless it was taken back; from now on it cannot be. Index: payouts_pkey. Locks: the row.
UPDATE payouts SET sending = true WHERE payout_id = $1 AND status = 'created' RETURNING payout_id;

-- update_payout --
-- Nothing. The first instant of sending stays. Index: payouts_pkey.
UPDATE payouts SET status = $2, reference = $3, failure = $4, entry = CASE WHEN $5 = '' THEN entry ELSE $5 END,
    sent_at_ms = coalesce(sent_at_ms, $6)
WHERE payout_id = $1;

-- note_check --
-- Nothing. Index: payouts_pkey.
UPDATE payouts SET checks = $2, needs_review = $3 WHERE payout_id = $1;
