-- When a leaf was queued, by the database's clock: how long the oldest waits shows whether a worker signs.
ALTER TABLE ledger_queue
    ADD COLUMN at_ms bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
