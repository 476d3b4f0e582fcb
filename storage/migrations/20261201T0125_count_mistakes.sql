-- Attempts that failed by a mistake are counted apart from those that met a machine that was away: only mistakes are given
-- up. `unreported` counts how often in a row a worker that took the work ended without a word.
ALTER TABLE reaction_queues
    ALTER COLUMN attempts TYPE bigint,
    ADD COLUMN mistakes int NOT NULL DEFAULT 0,
    ADD COLUMN unreported int NOT NULL DEFAULT 0;
ALTER TABLE jobs
    ALTER COLUMN attempts TYPE bigint,
    ADD COLUMN mistakes int NOT NULL DEFAULT 0;
ALTER TABLE failures ALTER COLUMN attempts TYPE bigint;
