-- Reverse auctions, and lots of several equal units.

ALTER TABLE auctions DROP CONSTRAINT auctions_format_check;
ALTER TABLE auctions
    ADD CONSTRAINT auctions_format_check
    CHECK (format IN ('english', 'reverse', 'dutch', 'sealed_first_price', 'sealed_second_price'));

-- In a reverse auction the reserve is the most the opener pays, and `leader_max` the least the leader asks for.
ALTER TABLE auctions DROP CONSTRAINT auctions_check;
ALTER TABLE auctions
    ADD CONSTRAINT auctions_reserve_check
    CHECK (CASE format WHEN 'reverse' THEN reserve_price BETWEEN 1 AND starting_price ELSE reserve_price >= starting_price END);
ALTER TABLE auctions DROP CONSTRAINT auctions_check3;
ALTER TABLE auctions
    ADD CONSTRAINT auctions_leader_check
    CHECK (
        leader_id IS NULL
        OR (leader_mask IS NOT NULL AND CASE format WHEN 'reverse' THEN leader_max <= price ELSE leader_max >= price END)
    );

ALTER TABLE auctions ADD COLUMN quantity int NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 1 AND 100);
ALTER TABLE bids ADD COLUMN quantity int NOT NULL DEFAULT 1 CHECK (quantity > 0);
-- Of a sealed bid for a lot of several: written when the bid is opened.
ALTER TABLE sealed_bids ADD COLUMN quantity int CHECK (quantity > 0);

-- Who gets the units of a lot of several: as things stand while it is live, for good once it is sold. `place` 0 is the best
-- bid; `number` is the bid's event. Rewritten with every bid that changes it, at most as many rows as units.
CREATE TABLE auction_places (
    auction_id uuid NOT NULL,
    place int NOT NULL,
    bidder_id uuid NOT NULL,
    amount bigint NOT NULL,
    quantity int NOT NULL,
    units int NOT NULL CHECK (units BETWEEN 1 AND quantity),
    number bigint NOT NULL,
    PRIMARY KEY (auction_id, place)
);
