-- Dutch and sealed auctions.

ALTER TABLE auctions DROP CONSTRAINT auctions_format_check;
ALTER TABLE auctions
    ADD CONSTRAINT auctions_format_check
    CHECK (format IN ('english', 'dutch', 'sealed_first_price', 'sealed_second_price'));

-- Floor, step and tick in ms of a Dutch auction.
ALTER TABLE auctions ADD COLUMN fall bigint[] CHECK (cardinality(fall) = 3);
-- The key of a sealed auction's bids, itself encrypted with the master key, which is not in the database.
ALTER TABLE auctions ADD COLUMN sealed_key bytea;
ALTER TABLE auctions
    ADD CONSTRAINT auctions_format_terms
    CHECK ((format = 'dutch') = (fall IS NOT NULL) AND (starts_with(format, 'sealed')) = (sealed_key IS NOT NULL));

-- Append-only but for the opening: the bids of sealed auctions. A bidder's bid with the highest number is the one that
-- stands. `closed` is amount and nonce under the auction's key; both are written in the clear when the auction has ended,
-- for standing bids alone.
CREATE TABLE sealed_bids (
    auction_id uuid NOT NULL,
    number bigint NOT NULL,
    bid_id uuid NOT NULL,
    bidder_id uuid NOT NULL,
    at_ms bigint NOT NULL,
    commitment bytea NOT NULL CHECK (length(commitment) = 32),
    closed bytea NOT NULL,
    amount bigint CHECK (amount BETWEEN 1 AND 9007199254740991),
    nonce bytea CHECK (length(nonce) = 32),
    PRIMARY KEY (auction_id, number),
    CHECK ((amount IS NULL) = (nonce IS NULL))
);
CREATE INDEX sealed_bids_bidder ON sealed_bids (auction_id, bidder_id, number);
