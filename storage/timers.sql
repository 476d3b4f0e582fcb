-- insert_timers --
-- Wishes to be called back. One row each.
INSERT INTO timers (due_at_ms, kind, ref)
SELECT due_at_ms, kind, ref FROM unnest($1::bigint[], $2::text[], $3::uuid[]) AS new (due_at_ms, kind, ref);

-- notify_timers --
-- Wake workers that sleep past the new timer, once this commits.
SELECT pg_notify('timers', '');

-- claim_due_timers --
-- Take due timers of one kind, oldest first, at most $3; they are gone once this commits. Rows: ref, due_at_ms.
-- Index: timers_due. Locks: the rows, skipping those of other workers.
DELETE FROM timers WHERE timer_id IN (
    SELECT timer_id FROM timers WHERE due_at_ms <= $2 AND kind = $1
    ORDER BY due_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING ref, due_at_ms;

-- postpone_oldest_timer --
-- Move the oldest due timer of a kind by the wait for its attempts, in ms ($3, the last one repeats). Locks: its row.
UPDATE timers
SET due_at_ms = $2 + ($3::bigint[])[least(attempts + 1, cardinality($3::bigint[]))], attempts = attempts + 1
WHERE timer_id = (
    SELECT timer_id FROM timers WHERE due_at_ms <= $2 AND kind = $1 ORDER BY due_at_ms LIMIT 1 FOR UPDATE SKIP LOCKED
);

-- next_due --
-- When the next timer of these kinds is due, or null. Index: timers_due.
SELECT due_at_ms FROM timers WHERE kind = ANY($1::text[]) ORDER BY due_at_ms LIMIT 1;
