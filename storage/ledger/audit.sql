-- read_audit --
-- How far the auditor is, the size that was signed last, how many entries there are, and since when the oldest leaf waits
-- for a place (null: none does); one row, of one snapshot. Indexes: ledger_queue_pkey, and backward ledger_checkpoints_pkey
-- and ledger_entries_pkey, one probe each.
SELECT pass_number, next_index, frontier, checkpoint_size, started_at_ms, passed_at_ms,
       coalesce((SELECT tree_size FROM ledger_checkpoints ORDER BY tree_size DESC LIMIT 1), 0) AS signed_size,
       coalesce((SELECT leaf_index FROM ledger_entries ORDER BY leaf_index DESC LIMIT 1), -1) + 1 AS entries,
       (SELECT at_ms FROM ledger_queue ORDER BY queue_id LIMIT 1) AS waiting_since_ms
FROM ledger_audit;

-- write_audit --
-- Nothing. Keep how far the auditor is.
UPDATE ledger_audit SET pass_number = $1, next_index = $2, frontier = $3, checkpoint_size = $4, started_at_ms = $5,
                        passed_at_ms = $6;

-- write_differences --
-- Keep what does not fit, the newest word about each place. Returns those places that were not known.
-- Index: ledger_differences_pkey.
WITH written AS (
    INSERT INTO ledger_differences (part, place, detail, pass_number, found_at_ms)
    SELECT part, place, detail, $4, $5 FROM unnest($1::text[], $2::bigint[], $3::text[]) AS found (part, place, detail)
    ON CONFLICT (part, place) DO UPDATE SET detail = excluded.detail, pass_number = excluded.pass_number
    RETURNING part, place, detail, found_at_ms
)
SELECT part, place, detail FROM written WHERE found_at_ms = $5 ORDER BY place;

-- forget_mended --
-- Nothing. What pass $1 did not find again is mended. Reads the table: a few rows.
DELETE FROM ledger_differences WHERE pass_number < $1;

-- read_differences --
-- How many places of each part do not fit, and the first of them; at most one row per part. Reads the table: a few rows.
SELECT part, count(*) AS places, min(place) AS first_place, count(*) FILTER (WHERE pass_number = $1) AS of_pass
FROM ledger_differences GROUP BY part;
