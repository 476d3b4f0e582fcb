-- What looks like shill bidding or bid shielding, for support alone.

-- One row per bidder and closed auction, written by its review: what a bidder's history is read from, so that bids need no
-- index by bidder.
CREATE TABLE bidder_activity (
    bidder_id uuid NOT NULL,
    auction_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    bids int NOT NULL CHECK (bids > 0),
    won boolean NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (bidder_id, auction_id)
);

CREATE TABLE auction_signals (
    signal_id uuid PRIMARY KEY,
    auction_id uuid NOT NULL REFERENCES auctions,
    seller_id uuid NOT NULL,
    bidder_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('shielding', 'one_seller', 'never_wins', 'shared_address')),
    score int NOT NULL CHECK (score BETWEEN 1 AND 100),
    evidence json NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'confirmed', 'dismissed')),
    note text NOT NULL DEFAULT '',
    raised_at_ms bigint NOT NULL,
    resolved_by uuid,
    resolved_at_ms bigint,
    UNIQUE (auction_id, bidder_id, kind),
    CHECK ((status = 'open') = (resolved_at_ms IS NULL) AND (status = 'open') = (resolved_by IS NULL))
);
CREATE INDEX auction_signals_status ON auction_signals (status, signal_id);
CREATE INDEX auction_signals_seller ON auction_signals (seller_id, signal_id);
