-- claim_job --
-- Take the job of a kind that is due for the longest time, until $3. Rows: job_id, ref, at_ms, attempts, mistakes,
-- unreported; at most one.
-- Index: jobs_due. Locks: its row, skipping those of other workers.
UPDATE jobs SET attempts = attempts + 1, unreported = least(unreported, 1000000) + 1, due_at_ms = $3
WHERE job_id = (
    SELECT job_id FROM jobs WHERE kind = $1 AND due_at_ms <= $2
    ORDER BY due_at_ms LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING job_id, ref, at_ms, attempts, mistakes, unreported;

-- delete_job --
-- Forget a job if this attempt still has it. Returns its id, if so. Index: jobs_pkey. Locks: its row.
DELETE FROM jobs WHERE job_id = $1 AND attempts = $2 RETURNING job_id;

-- postpone_job --
-- Let a job wait until $3 if this attempt still has it; $4 mistakes more. Index: jobs_pkey. Locks: its row.
UPDATE jobs SET due_at_ms = $3, unreported = 0, mistakes = least(mistakes, 1000000) + $4 WHERE job_id = $1 AND attempts = $2;

-- give_up_job --
-- Move a job to the failures if this attempt still has it. Index: jobs_pkey. Locks: its row.
WITH gone AS (
    DELETE FROM jobs WHERE job_id = $1 AND attempts = $2 RETURNING kind, at_ms, job_id, ref
)
INSERT INTO failures (name, at_ms, failed_at_ms, attempts, error, job_id, ref)
SELECT kind, at_ms, $3, $2, $4, job_id, ref FROM gone;

-- next_due --
-- When the next job of each of these kinds is due: rows of kind and instant. Index: jobs_due, one probe per kind.
SELECT wanted.kind, next.due_at_ms FROM unnest($1::text[]) AS wanted (kind)
CROSS JOIN LATERAL (
    SELECT due_at_ms FROM jobs WHERE jobs.kind = wanted.kind ORDER BY due_at_ms LIMIT 1
) AS next;

-- count_waiting --
-- How many jobs wait, and since when the oldest: rows of kind, count, at_ms. Cost: a pass over those that wait.
SELECT kind, count(*), min(at_ms) FROM jobs GROUP BY kind;
