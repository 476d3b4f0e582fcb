-- notify_timers --
-- Wake workers that sleep past the new timer, once this commits.
SELECT pg_notify('timers', '');

-- claim_due_timers --
-- Take due timers of one kind, oldest first, at most $3; they are gone once this commits. Rows: timer_id, ref, due_at_ms.
-- Index: timers_kind_due. Locks: the rows, skipping those of other workers.
DELETE FROM timers WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM timers WHERE due_at_ms <= $2 AND kind = $1
    ORDER BY due_at_ms LIMIT $3 FOR UPDATE SKIP LOCKED
))
RETURNING timer_id, ref, due_at_ms;

-- postpone_timer --
-- Move a timer that is due by the wait for its attempts, in ms ($3, the last one repeats). Index: timers_pkey. Locks: its
-- row.
UPDATE timers
SET due_at_ms = $2 + ($3::bigint[])[least(least(attempts, 1000000) + 1, cardinality($3::bigint[]))], attempts = least(attempts, 1000000) + 1
WHERE timer_id = $1 AND due_at_ms <= $2;

-- next_due --
-- When the next timer of these kinds is due, or null. Index: timers_kind_due, one probe per kind.
SELECT min(next.due_at_ms)
FROM unnest($1::text[]) AS wanted (kind)
CROSS JOIN LATERAL (
    SELECT due_at_ms FROM timers WHERE timers.kind = wanted.kind ORDER BY due_at_ms LIMIT 1
) AS next;

-- read_upcoming --
-- What timers of one kind refer to that are due from $2 until before $3, the first $4 of them. Index: timers_kind_due.
SELECT ref FROM timers WHERE kind = $1 AND due_at_ms >= $2 AND due_at_ms < $3 ORDER BY due_at_ms LIMIT $4;
