-- insert_reactions --
-- Add facts to the queues of their reactions, and open those that are not open. Locks: new queues' rows, until commit.
WITH opened AS (
    INSERT INTO reaction_queues (reaction, aggregate, due_at_ms)
    SELECT DISTINCT reaction, aggregate, $7::bigint FROM unnest($1::text[], $2::text[]) AS new (reaction, aggregate)
    ORDER BY reaction, aggregate
    ON CONFLICT (reaction, aggregate) DO NOTHING
)
INSERT INTO reactions (reaction, aggregate, number, fact, at_ms, data)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::json[]);

-- open_queues --
-- Open queues that are not open. Locks: new rows, until commit.
INSERT INTO reaction_queues (reaction, aggregate, due_at_ms)
SELECT DISTINCT reaction, aggregate, $3::bigint FROM unnest($1::text[], $2::text[]) AS new (reaction, aggregate)
ORDER BY reaction, aggregate
ON CONFLICT (reaction, aggregate) DO NOTHING;

-- hold_queues --
-- Keep queues from being closed. Rows: those that are open. Index: reaction_queues_pkey. Locks: the rows, against deletion.
SELECT q.reaction, q.aggregate
FROM reaction_queues AS q JOIN unnest($1::text[], $2::text[]) AS wanted (reaction, aggregate) USING (reaction, aggregate)
ORDER BY q.reaction, q.aggregate
FOR KEY SHARE OF q;

-- claim_queues --
-- Take queues of a reaction that are due, at most $3, longest due first. Rows: aggregate, attempts, mistakes, unreported.
-- Index: reaction_queues_due. Locks: the rows, skipping those of other workers.
SELECT aggregate, attempts, mistakes, unreported FROM reaction_queues WHERE reaction = $1 AND due_at_ms <= $2
ORDER BY due_at_ms LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED;

-- lease_queue --
-- Note that a worker is about to run the queue of a reaction that is due for the longest time. Returns its aggregate, if
-- there is one. The commit waits for no disk: the note must outlive the worker, not PostgreSQL.
-- Index: reaction_queues_due. Locks: the row, skipping those of other workers.
WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS is_set)
UPDATE reaction_queues AS q SET unreported = least(q.unreported, 1000000) + 1
FROM relaxed, (
    SELECT aggregate FROM reaction_queues WHERE reaction = $1 AND due_at_ms <= $2
    ORDER BY due_at_ms LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
) AS due
WHERE q.reaction = $1 AND q.aggregate = due.aggregate AND relaxed.is_set IS NOT NULL
RETURNING q.aggregate;

-- release_queue --
-- Take such a note back: the worker lives. Index: reaction_queues_pkey. Locks: the row.
UPDATE reaction_queues SET unreported = unreported - 1 WHERE reaction = $1 AND aggregate = $2 AND unreported > 0;

-- claim_queue --
-- Take one queue that is due, unless another worker has it. Rows as of claim_queues, at most one.
-- Index: reaction_queues_pkey. Locks: the row.
SELECT aggregate, attempts, mistakes, unreported FROM reaction_queues
WHERE reaction = $1 AND aggregate = $2 AND due_at_ms <= $3 FOR NO KEY UPDATE SKIP LOCKED;

-- read_first --
-- The first rows of claimed queues, at most $3 of each, ascending. Index: reactions_pkey, one probe per queue.
SELECT first.* FROM unnest($2::text[]) WITH ORDINALITY AS claimed (aggregate, place)
CROSS JOIN LATERAL (
    SELECT r.aggregate, r.number, r.fact, r.at_ms, r.data FROM reactions AS r
    WHERE r.reaction = $1 AND r.aggregate = claimed.aggregate ORDER BY r.number LIMIT $3
) AS first
ORDER BY claimed.place, first.number;

-- delete_done --
-- Forget reactions that ran. Index: reactions_pkey.
DELETE FROM reactions AS r USING unnest($2::text[], $3::bigint[]) AS done (aggregate, number)
WHERE r.reaction = $1 AND r.aggregate = done.aggregate AND r.number = done.number;

-- lock_empty --
-- Those of these queues that have no rows and nobody is adding to. Index: reactions_pkey, one probe per queue.
-- Locks: the rows, skipping those that a writer holds.
SELECT aggregate FROM reaction_queues AS q WHERE reaction = $1 AND aggregate = ANY ($2::text[]) AND NOT EXISTS (
    SELECT FROM reactions AS r WHERE r.reaction = q.reaction AND r.aggregate = q.aggregate
)
FOR UPDATE SKIP LOCKED;

-- leave_queues --
-- Delete those locked queues ($3) that are still empty; let the others ($2) be claimed again from an instant on.
WITH closed AS (
    DELETE FROM reaction_queues AS q WHERE reaction = $1 AND aggregate = ANY ($3::text[]) AND NOT EXISTS (
        SELECT FROM reactions AS r WHERE r.reaction = q.reaction AND r.aggregate = q.aggregate
    )
    RETURNING aggregate
)
UPDATE reaction_queues SET due_at_ms = $4, attempts = 0, mistakes = 0, unreported = 0
WHERE reaction = $1 AND aggregate = ANY ($2::text[]) AND aggregate NOT IN (SELECT aggregate FROM closed);

-- lock_queue --
-- Take one queue. Index: reaction_queues_pkey. Locks: the row; waits for who runs it.
SELECT FROM reaction_queues WHERE reaction = $1 AND aggregate = $2 FOR NO KEY UPDATE;

-- postpone_reaction --
-- Let the first reaction of a locked queue wait until $5, if it is still this one after as many attempts; $6 mistakes more.
-- Returns the number of attempts, if so. Index: reaction_queues_pkey.
UPDATE reaction_queues AS q
SET due_at_ms = $5, attempts = attempts + 1, mistakes = least(mistakes, 1000000) + $6, unreported = 0
WHERE reaction = $1 AND aggregate = $2 AND attempts = $4 AND EXISTS (
    SELECT FROM reactions AS r WHERE r.reaction = $1 AND r.aggregate = $2 AND r.number = $3
)
RETURNING attempts;

-- give_up_reaction --
-- Move the first reaction of a queue, which this transaction has locked, to the failures.
WITH gone AS (
    DELETE FROM reactions WHERE reaction = $1 AND aggregate = $2 AND number = $3
    RETURNING reaction, at_ms, aggregate, number, fact, data
), queue AS (
    UPDATE reaction_queues SET due_at_ms = $4, attempts = 0, mistakes = 0 WHERE reaction = $1 AND aggregate = $2
)
INSERT INTO failures (name, at_ms, failed_at_ms, attempts, error, aggregate, number, fact, data)
SELECT reaction, at_ms, $4, $5, $6, aggregate, number, fact, data FROM gone;

-- next_due --
-- When the next queue of each of these reactions is due: rows of name and instant. Index: reaction_queues_due, one probe
-- per reaction.
SELECT wanted.reaction, next.due_at_ms FROM unnest($1::text[]) AS wanted (reaction)
CROSS JOIN LATERAL (
    SELECT due_at_ms FROM reaction_queues AS q WHERE q.reaction = wanted.reaction ORDER BY due_at_ms LIMIT 1
) AS next;

-- count_waiting --
-- How many reactions wait, and since when the oldest: rows of name, count, at_ms. Cost: a pass over those that wait.
SELECT reaction, count(*), min(at_ms) FROM reactions GROUP BY reaction;
