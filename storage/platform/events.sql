-- advance_streams --
-- Move the heads of streams by a count each; give streams sorted by name. Returns one row per stream with the new head.
-- Locks: the streams' rows, until commit.
INSERT INTO streams AS s (stream, head)
SELECT stream, count FROM unnest($1::text[], $2::bigint[]) AS new (stream, count)
ON CONFLICT (stream) DO UPDATE SET head = s.head + excluded.head
RETURNING stream, head;

-- read_heads --
-- The newest number of each stream that has events. At most one row per stream. Index: events_pkey, backward, one probe each.
SELECT wanted.stream, newest.number
FROM unnest($1::text[]) AS wanted (stream)
CROSS JOIN LATERAL (
    SELECT number FROM events WHERE events.stream = wanted.stream ORDER BY number DESC LIMIT 1
) AS newest;

-- read_events --
-- Events of a stream after a number, ascending, at most $3. Index: events_pkey.
SELECT number, data, at_ms FROM events WHERE stream = $1 AND number > $2 ORDER BY number LIMIT $3;

-- read_event_times --
-- When events of a stream happened, by number. At most one row per number. Index: events_pkey.
SELECT number, at_ms FROM events WHERE stream = $1 AND number = ANY($2::bigint[]);

-- read_events_backward --
-- Events of a stream before a number, descending, at most $3. Index: events_pkey.
SELECT number, data, at_ms FROM events WHERE stream = $1 AND number < $2 ORDER BY number DESC LIMIT $3;

-- read_epoch --
-- The epoch of every stream of this database. One row.
SELECT epoch FROM database_epoch;
