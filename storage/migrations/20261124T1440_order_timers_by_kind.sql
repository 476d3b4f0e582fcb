-- Timers are looked for by kind: a crowd of one kind that waits must not be read over to find another that is due.

DROP INDEX timers_due;
CREATE INDEX timers_kind_due ON timers (kind, due_at_ms);
