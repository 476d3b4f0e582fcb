-- lock_openings --
-- One row each, of nothing. Locks: the openings of these escrows, in the order of ids, until commit: a row that does not
-- exist cannot be locked.
SELECT pg_advisory_xact_lock(hashtextextended(opening.id::text, 610))
FROM (SELECT unnest($1::uuid[]) AS id ORDER BY 1) AS opening;

-- lock_escrows --
-- Those of these escrows that exist, by id. Index: escrows_pkey. Locks: the rows, in that order, until commit.
SELECT escrow_id, kind, ref, payer_id, currency, amount_minor, released_minor, refunded_minor, status,
       commission_version, opened_at_ms, ends_at_ms, frozen_at_ms, version
FROM escrows WHERE escrow_id = ANY ($1::uuid[]) ORDER BY escrow_id FOR UPDATE;

-- read_lines --
-- The lines of these escrows, by escrow and line. Index: escrow_lines_pkey.
SELECT escrow_id, line, role, user_id, amount_minor, released_minor, refunded_minor
FROM escrow_lines WHERE escrow_id = ANY ($1::uuid[]) ORDER BY escrow_id, line;

-- read_steps --
-- What was asked under these ids, and what it moved; no row for a new one. Index: escrow_steps_pkey.
SELECT step_id, step, amount_minor FROM escrow_steps WHERE step_id = ANY ($1::uuid[]);

-- update_escrows --
-- Nothing. Write locked escrows. Index: escrows_pkey.
UPDATE escrows AS e SET released_minor = n.released_minor, refunded_minor = n.refunded_minor, status = n.status,
    ends_at_ms = n.ends_at_ms, frozen_at_ms = n.frozen_at_ms, version = n.version
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::integer[])
    AS n (escrow_id, released_minor, refunded_minor, status, ends_at_ms, frozen_at_ms, version)
WHERE e.escrow_id = n.escrow_id;

-- update_lines --
-- Nothing. Write lines of locked escrows. Index: escrow_lines_pkey.
UPDATE escrow_lines AS l SET released_minor = n.released_minor, refunded_minor = n.refunded_minor
FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[])
    AS n (escrow_id, line, released_minor, refunded_minor)
WHERE l.escrow_id = n.escrow_id AND l.line = n.line;

-- read_escrow --
-- One escrow; 0 or 1 row. Index: escrows_pkey.
SELECT escrow_id, kind, ref, payer_id, currency, amount_minor, released_minor, refunded_minor, status,
       commission_version, opened_at_ms, ends_at_ms, frozen_at_ms, version
FROM escrows WHERE escrow_id = $1;

-- list_escrows --
-- Escrows that a user is a party to, before an id, newest first, at most $3. Indexes: escrow_parties_pkey backward,
-- escrows_pkey.
SELECT e.escrow_id, e.kind, e.ref, e.payer_id, e.currency, e.amount_minor, e.released_minor, e.refunded_minor, e.status,
       e.commission_version, e.opened_at_ms, e.ends_at_ms, e.frozen_at_ms, e.version
FROM escrow_parties AS p JOIN escrows AS e USING (escrow_id)
WHERE p.user_id = $1 AND p.escrow_id < $2 ORDER BY p.escrow_id DESC LIMIT $3;
