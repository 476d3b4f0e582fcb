-- lock_spendable --
-- What users ($1) may spend of currencies ($2); no row where no money ever moved. Index: the unique one of accounts.
-- Locks: the rows, in the order of that index, until commit.
SELECT owner_id, currency, balance_minor, frozen FROM accounts
WHERE (owner_id, currency) IN (SELECT * FROM unnest($1::uuid[], $2::text[])) AND purpose = 'available' AND stripe = 0
ORDER BY owner_id, currency
FOR UPDATE;
