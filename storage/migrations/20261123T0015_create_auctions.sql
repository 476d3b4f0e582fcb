-- Auctions, their bids, and who has still to be told that an auction is over.

-- One row per auction. The upper columns are the seller's terms and never change; the lower ones are the state that bids
-- and time change. `event_number` is the newest number of the stream `auctions:<auction_id>`. Free space in every page
-- keeps updates on the page (no indexed column changes with a bid).
CREATE TABLE auctions (
    auction_id uuid PRIMARY KEY,
    listing_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    format text NOT NULL CHECK (format = 'english'),
    currency text NOT NULL CHECK (length(currency) = 3),
    starting_price bigint NOT NULL CHECK (starting_price > 0),
    reserve_price bigint CHECK (reserve_price >= starting_price),
    buy_now_price bigint CHECK (buy_now_price > starting_price),
    starts_at_ms bigint NOT NULL,
    planned_end_ms bigint NOT NULL CHECK (planned_end_ms > starts_at_ms),
    step_limits bigint[] NOT NULL,
    steps bigint[] NOT NULL CHECK (cardinality(steps) = cardinality(step_limits) + 1),
    soft_close_ms bigint[] CHECK (cardinality(soft_close_ms) = 3),  -- window, extension, and the count of extensions
    mask_salt bytea NOT NULL CHECK (length(mask_salt) = 16),  -- never leaves the server: it would unmask the bidders

    status text NOT NULL CHECK (status IN ('scheduled', 'live', 'sold', 'unsold', 'cancelled')),
    event_number bigint NOT NULL CHECK (event_number > 0),
    price bigint NOT NULL,
    minimum_bid bigint NOT NULL,
    leader_id uuid,
    leader_max bigint NOT NULL,
    bid_count bigint NOT NULL CHECK (bid_count >= 0),
    ends_at_ms bigint NOT NULL,
    extensions int NOT NULL,
    leader_mask text,
    CHECK (leader_id IS NULL OR (leader_max >= price AND leader_mask IS NOT NULL))
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX auctions_open_listing ON auctions (listing_id) WHERE status IN ('scheduled', 'live');
CREATE INDEX auctions_ends ON auctions (ends_at_ms, auction_id);
CREATE INDEX auctions_status_ends ON auctions (status, ends_at_ms, auction_id);
CREATE INDEX auctions_seller_ends ON auctions (seller_id, ends_at_ms, auction_id);

-- Append-only: every bid that was accepted, with its secret maximum and the price it made. `number` is the number of its
-- public event. A buy-now is the row with `bought`.
CREATE TABLE bids (
    auction_id uuid NOT NULL,
    number bigint NOT NULL,
    bid_id uuid NOT NULL,
    bidder_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
    price bigint NOT NULL,
    at_ms bigint NOT NULL,
    bought boolean NOT NULL DEFAULT false,
    PRIMARY KEY (auction_id, number)
);

-- Append-only: which bids were taken back, and the number of the event that says so.
CREATE TABLE bid_retractions (
    auction_id uuid NOT NULL,
    bid_number bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (auction_id, bid_number),
    FOREIGN KEY (auction_id, bid_number) REFERENCES bids (auction_id, number)
);

-- A queue: bidders who did not get a closed auction and have not been told yet.
CREATE TABLE auction_losers (
    auction_id uuid NOT NULL,
    bidder_id uuid NOT NULL,
    PRIMARY KEY (auction_id, bidder_id)
);
