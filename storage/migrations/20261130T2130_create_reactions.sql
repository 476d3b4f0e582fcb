-- Reactions to facts and jobs: work that is written in the transaction that wants it, and done after its commit.

-- Facts that a reaction has not seen yet: a row per reaction and fact, written with the fact, gone with the effect.
CREATE TABLE reactions (
    reaction text COLLATE "C" NOT NULL,
    aggregate text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    fact text NOT NULL,
    at_ms bigint NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (reaction, aggregate, number)
);

-- One row per reaction and aggregate that has rows in `reactions`: who runs them locks it, so they run one after the
-- other. Due and attempts are those of the first row. Writers of `reactions` hold the row FOR KEY SHARE until their
-- commit, which stops no worker; only who finds the queue empty needs it alone, to delete it.
CREATE TABLE reaction_queues (
    reaction text COLLATE "C" NOT NULL,
    aggregate text COLLATE "C" NOT NULL,
    due_at_ms bigint NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    PRIMARY KEY (reaction, aggregate)
);
CREATE INDEX reaction_queues_due ON reaction_queues (reaction, due_at_ms);

-- Calls to other machines. `due_at_ms` is also the end of the lease of who makes the call, `attempts` says whose lease it
-- is, and `unreported` how many leases in a row ended without a word.
CREATE TABLE jobs (
    job_id uuid PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    ref uuid NOT NULL,
    at_ms bigint NOT NULL,
    due_at_ms bigint NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    unreported int NOT NULL DEFAULT 0
);
CREATE INDEX jobs_due ON jobs (kind, due_at_ms);

-- Reactions and jobs that were given up; `./mnbara replay` puts them back.
CREATE TABLE failures (
    failure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    failed_at_ms bigint NOT NULL,
    attempts int NOT NULL,
    error text NOT NULL,
    aggregate text COLLATE "C",
    number bigint,
    fact text,
    data json,
    job_id uuid,
    ref uuid,
    CHECK (num_nonnulls(aggregate, number, fact, data) = CASE WHEN job_id IS NULL THEN 4 ELSE 0 END),
    CHECK (num_nonnulls(job_id, ref) <> 1)
);
CREATE INDEX failures_name ON failures (name);
