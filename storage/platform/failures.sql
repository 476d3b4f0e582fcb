-- count_failures --
-- How many reactions and jobs were given up: rows of name and count. Cost: a pass over them.
SELECT name, count(*) FROM failures GROUP BY name;

-- list_failures --
-- What was given up after a failure, oldest first, at most $2. Index: failures_pkey.
SELECT failure_id, name, at_ms, failed_at_ms, attempts, error, aggregate, number, job_id, ref
FROM failures WHERE failure_id > $1 ORDER BY failure_id LIMIT $2;

-- take_failure --
-- Forget a failure and return it, to be put back; 0 or 1 row. Index: failures_pkey. Locks: its row.
DELETE FROM failures WHERE failure_id = $1
RETURNING name, at_ms, aggregate, number, fact, data, job_id, ref;

-- restore_job --
-- Put a job back with its id, due at once.
INSERT INTO jobs (job_id, kind, ref, at_ms, due_at_ms) VALUES ($1, $2, $3, $4, $5);
