-- read_transfers --
-- What was booked under these ids; no row for a new one. Indexes: transfers_pkey, accounts_pkey twice for each found.
SELECT t.transfer_id, d.currency, d.owner_id AS debit_owner_id, d.purpose AS debit_purpose,
       c.owner_id AS credit_owner_id, c.purpose AS credit_purpose, t.amount_minor, t.reason, t.ref
FROM transfers AS t
JOIN accounts AS d ON d.account_id = t.debit_account
JOIN accounts AS c ON c.account_id = t.credit_account
WHERE t.transfer_id = ANY ($1::uuid[]);

-- lock_holds --
-- Holds by id; no row for an unknown one. Index: holds_pkey. Locks: the rows, in the order of ids, until commit.
SELECT hold_id, owner_id, currency, amount_minor, ref, at_ms, expires_at_ms, status, posted_minor
FROM holds WHERE hold_id = ANY ($1::uuid[]) ORDER BY hold_id FOR UPDATE;

-- end_holds --
-- Nothing. Give locked holds their last status. Index: holds_pkey.
UPDATE holds AS h SET status = ended.status, posted_minor = ended.posted_minor
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS ended (hold_id, status, posted_minor)
WHERE h.hold_id = ended.hold_id;
