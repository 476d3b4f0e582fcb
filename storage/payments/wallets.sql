-- lock_wallets --
-- What users ($1) have available and held of currencies ($2), a row for each of the two; none where no money ever moved.
-- Index: the unique one of accounts, a range for each pair. Locks: the rows, in the order of that index, until commit.
SELECT owner_id, currency, purpose, balance_minor, frozen FROM accounts
WHERE (owner_id, currency) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
  AND purpose IN ('available', 'held') AND stripe = 0
ORDER BY owner_id, currency, purpose
FOR UPDATE;
