-- read_follower --
-- How far a follower has copied. 0 or 1 row. Index: followers_pkey.
SELECT transaction_id, stream, sequence FROM followers WHERE name = $1;

-- save_follower --
-- Remember how far a follower has copied. Index: followers_pkey. Locks: its row.
INSERT INTO followers (name, transaction_id, stream, sequence) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE
SET transaction_id = excluded.transaction_id, stream = excluded.stream, sequence = excluded.sequence;
