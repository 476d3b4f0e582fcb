-- insert_mails --
-- Nothing. Mails that wait. Locks: the new rows.
INSERT INTO mails (mail_id, text, closed, at_ms, expires_at_ms)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[]);

-- read_waiting --
-- A mail that waits. At most one row. Index: mails_pkey. Locks: none.
SELECT closed, expires_at_ms FROM mails WHERE mail_id = $1 AND outcome IS NULL;

-- end_mail --
-- Nothing. A mail that waited does no more, and its content goes. Index: mails_pkey. Locks: the row.
UPDATE mails SET closed = NULL, outcome = $2, ended_at_ms = $3 WHERE mail_id = $1 AND outcome IS NULL;

-- delete_old_mails --
-- Forget mails of before $1, at most $2; one row for each. Index: mails_at. Locks: their rows.
DELETE FROM mails WHERE mail_id IN (
    SELECT mail_id FROM mails WHERE at_ms < $1 ORDER BY at_ms LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING 1;
