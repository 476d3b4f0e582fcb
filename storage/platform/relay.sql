-- lock_relay --
-- The relay's position, and the transaction below which all have ended. One row, or none while another relay is at work.
-- Locks: an advisory lock until commit (a row lock would give every look a transaction id of its own).
SELECT transaction_id::text::bigint AS position,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon
FROM relay_position WHERE pg_try_advisory_xact_lock(7161961);

-- read_relay_position --
-- Below which transaction everything was sent on. One row.
SELECT transaction_id::text::bigint FROM relay_position;

-- read_horizon --
-- The transaction below which all have ended. One row.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon;

-- read_committed_events --
-- Events of transactions in [$1, $2), in an order that no later commit can precede, at most $3. Index: events_transaction.
SELECT stream, number, type, data, at_ms, transaction_id::text::bigint AS transaction_id
FROM events
WHERE transaction_id >= $1::bigint::text::xid8 AND transaction_id < $2::bigint::text::xid8
ORDER BY transaction_id, stream, number
LIMIT $3;

-- read_overtaken --
-- The newest transaction from $3 on that wrote one of these events (stream, number), or null. Index: events_pkey, a probe
-- per event.
SELECT max(e.transaction_id::text::bigint)
FROM unnest($1::text[], $2::bigint[]) AS wanted (stream, number)
JOIN events AS e ON e.stream = wanted.stream AND e.number = wanted.number
WHERE e.transaction_id >= $3::bigint::text::xid8;

-- move_relay --
-- Remember that everything of transactions below $1 was sent on.
UPDATE relay_position SET transaction_id = $1::bigint::text::xid8;
