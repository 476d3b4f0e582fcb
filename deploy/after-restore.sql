-- After `pg_restore` into another cluster, before the first process starts: psql --set ON_ERROR_STOP=1 -f after-restore.sql
--
-- Events are sent on in the order of their transactions. A dump keeps those numbers, and another cluster counts from
-- its own: new events would stand before old ones, and would never be sent on. Here the restored events get numbers below
-- the cluster's next one, in their order, a thousand of those that were sent on together. The database gets a new
-- epoch, so that clients that know more than the backup read anew; followers begin again.
BEGIN;
LOCK TABLE events, relay_position;

UPDATE database_epoch SET epoch = DEFAULT;
DELETE FROM followers;

CREATE TEMPORARY TABLE renumbered ON COMMIT DROP AS
WITH ordered AS (
    SELECT e.stream, e.number, e.transaction_id < p.transaction_id AS is_sent,
           (row_number() OVER (ORDER BY e.transaction_id, e.stream, e.number) - 1) / 1000 AS page,
           dense_rank() OVER (ORDER BY e.transaction_id) AS place
    FROM events AS e CROSS JOIN relay_position AS p
),
ends AS (
    SELECT coalesce(max(page) FILTER (WHERE is_sent), 0) + 2 AS sent_below,
           coalesce(max(place) FILTER (WHERE is_sent), 0) AS sent_places
    FROM ordered
)
SELECT stream, number, sent_below,
       CASE WHEN is_sent THEN page + 1 ELSE sent_below + place - sent_places - 1 END AS transaction
FROM ordered CROSS JOIN ends;

UPDATE relay_position
SET transaction_id = coalesce((SELECT min(sent_below) FROM renumbered), 0)::text::xid8;
UPDATE events AS e SET transaction_id = r.transaction::text::xid8
FROM renumbered AS r WHERE r.stream = e.stream AND r.number = e.number;
COMMIT;

-- Use up transactions until the next one is above all of these.
DO $$
DECLARE
    newest bigint := (SELECT coalesce(max(transaction_id::text::bigint), 0) FROM events);
BEGIN
    WHILE pg_current_xact_id()::text::bigint <= newest LOOP
        COMMIT;
    END LOOP;
END
$$;

ANALYZE;
