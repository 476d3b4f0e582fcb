-- take_turn --
-- Whether this transaction has the turn of a loop now; false while another one has it. One row.
-- Locks: an advisory lock of the name until commit, so that the turn of who is killed is free at once.
SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 7161962));
