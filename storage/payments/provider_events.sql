-- insert_event --
-- The row's id where the event is new, else no row. Index: provider_events_pkey.
INSERT INTO provider_events (event_id, row_id, type, object, reference, own_id, payment, status, at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING row_id;

-- lock_events --
-- Events that wait, of these rows, in the order in which they came. Index: provider_events_row_id_key. Locks: the rows.
SELECT row_id, event_id, type, object, reference, own_id, payment, attempts FROM provider_events
WHERE row_id = ANY ($1::uuid[]) AND status = 'stored' ORDER BY row_id FOR UPDATE;

-- update_event --
-- Nothing. Index: provider_events_row_id_key.
UPDATE provider_events SET status = $2, attempts = attempts + 1 WHERE row_id = $1;

-- delete_old_events --
-- Forget events from before $1, at most $2 rows, which are what it returns. Index: provider_events_at.
DELETE FROM provider_events WHERE event_id IN (
    SELECT event_id FROM provider_events WHERE at_ms < $1 ORDER BY at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING event_id;
