-- A listing of several pieces may be in several auctions, each of which holds its pieces; the listing's lock orders openings.
-- What a seller is told while an auction is live stands in its row, so that a bid looks for it nowhere else.

DROP INDEX auctions_open_listing;
CREATE INDEX auctions_open_listing ON auctions (listing_id) WHERE status IN ('scheduled', 'live');

ALTER TABLE auctions
    ADD COLUMN notify_first_bid boolean NOT NULL DEFAULT true,
    ADD COLUMN notify_reserve_met boolean NOT NULL DEFAULT true,
    ADD COLUMN notify_prices bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(notify_prices) <= 20);
