-- has_test_money --
-- Whether the built-in provider has moved money. Cost: one row.
SELECT EXISTS (SELECT FROM test_movements);

-- has_real_money --
-- Whether Stripe has been asked for a payment. Index: top_ups_reference, one probe.
SELECT EXISTS (SELECT FROM top_ups WHERE reference >= 'pi_' AND reference < 'pi`');

-- insert_object --
-- Nothing, also where our id has one of the kind already. Indexes: test_objects_pkey, test_objects_own.
INSERT INTO test_objects (object_id, kind, own_id, parent, amount_minor, currency, status, failure, word, secret, at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $9, $10) ON CONFLICT DO NOTHING;

-- lock_object --
-- One object; 0 or 1 row. Index: test_objects_pkey. Locks: the row.
SELECT * FROM test_objects WHERE object_id = $1 FOR UPDATE;

-- lock_own --
-- The object of a kind that was made with an id of ours; 0 or 1 row. Index: test_objects_own. Locks: the row.
SELECT * FROM test_objects WHERE kind = $1 AND own_id = $2 FOR UPDATE;

-- lock_secret --
-- The payment of a client's secret; 0 or 1 row. Index: test_objects_secret. Locks: the row.
SELECT * FROM test_objects WHERE secret = $1 AND secret <> '' FOR UPDATE;

-- sum_refunds --
-- What of a payment went back, 0 for nothing. Index: test_objects_refunds.
SELECT coalesce(sum(amount_minor), 0)::bigint FROM test_objects
WHERE parent = $1 AND kind = 'refund' AND status = 'succeeded';

-- update_object --
-- Nothing. Index: test_objects_pkey.
UPDATE test_objects SET status = $2, failure = $3, word = $4 WHERE object_id = $1;

-- insert_movement --
-- Nothing.
INSERT INTO test_movements (movement_id, kind, source, amount_minor, currency, at_ms) VALUES ($1, $2, $3, $4, $5, $6);

-- list_movements --
-- Movements of an interval, newest first. Index: test_movements_at, one range, backward.
SELECT movement_id, kind, source, amount_minor, currency, at_ms FROM test_movements
WHERE at_ms >= $1 AND at_ms < $2 ORDER BY at_ms DESC;

-- insert_event --
-- Nothing.
INSERT INTO test_events (event_id, type, object, reference, own_id, payment, at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- read_event --
-- One event that is to be delivered; 0 or 1 row. Index: test_events_pkey.
SELECT event_id, type, object, reference, own_id, payment, at_ms FROM test_events WHERE event_id = $1;

-- delete_event --
-- Nothing. Forget an event that was delivered. Index: test_events_pkey.
DELETE FROM test_events WHERE event_id = $1;
