-- 0008 meant the check of the leader and took away the one of the increment table: the first goes, the second is back.

ALTER TABLE auctions DROP CONSTRAINT auctions_check4;
ALTER TABLE auctions
    ADD CONSTRAINT auctions_steps_check CHECK (cardinality(steps) = cardinality(step_limits) + 1);
