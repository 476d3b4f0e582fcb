-- Offers of sellers to those who did not get a closed auction. A bidder has one offer per auction at most; `price` is the
-- bidder's own highest bid and is told to the bidder alone until it is accepted. `piece` is what is sold: the one of the
-- auction (of which one offer can be accepted), or another one of the same listing.
CREATE TABLE second_chances (
    offer_id uuid PRIMARY KEY,
    auction_id uuid NOT NULL REFERENCES auctions,
    bidder_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    piece text NOT NULL CHECK (piece IN ('auctioned', 'another')),
    price bigint NOT NULL CHECK (price > 0),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'accepted', 'declined', 'expired', 'withdrawn')),
    offered_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL CHECK (expires_at_ms > offered_at_ms),
    decided_at_ms bigint,
    UNIQUE (auction_id, bidder_id),
    CHECK ((status = 'open') = (decided_at_ms IS NULL))
);
CREATE UNIQUE INDEX second_chances_accepted ON second_chances (auction_id)
    WHERE status = 'accepted' AND piece = 'auctioned';
CREATE INDEX second_chances_seller ON second_chances (seller_id, offer_id);
CREATE INDEX second_chances_bidder ON second_chances (bidder_id, offer_id);
