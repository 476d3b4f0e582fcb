-- Guards of auctions: how much a bidder may lead with, whom a seller lets bid, whom a seller keeps out.

-- Terms: they never change. `has_blocks` is state: the seller keeps somebody out, so bids have to be looked at.
ALTER TABLE auctions ADD COLUMN exposure_guard boolean NOT NULL DEFAULT false;
ALTER TABLE auctions ADD COLUMN bidders text NOT NULL DEFAULT 'anyone' CHECK (bidders IN ('anyone', 'approved'));
ALTER TABLE auctions ADD COLUMN has_blocks boolean NOT NULL DEFAULT false;

-- One row per user and currency that ever bid in a guarded auction: `used` is the sum of the maxima the user leads with in
-- guarded auctions that are live. A null limit is the default. Free space keeps updates on the page.
CREATE TABLE exposures (
    user_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    limit_minor bigint CHECK (limit_minor >= 0),
    used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (user_id, currency)
) WITH (fillfactor = 50);

-- Who asked to bid in an auction of approved bidders, and what its seller said.
CREATE TABLE auction_bidders (
    auction_id uuid NOT NULL REFERENCES auctions,
    bidder_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('requested', 'approved', 'rejected', 'revoked')),
    message text NOT NULL DEFAULT '' CHECK (length(message) <= 500),
    reason text NOT NULL DEFAULT '' CHECK (length(reason) <= 500),
    requested_at_ms bigint NOT NULL,
    decided_at_ms bigint,
    PRIMARY KEY (auction_id, bidder_id),
    CHECK ((status = 'requested') = (decided_at_ms IS NULL))
);
CREATE INDEX auction_bidders_requests ON auction_bidders (auction_id, requested_at_ms, bidder_id);

-- Whom a seller keeps out of all own auctions. A bidder who was known by a mask alone stays masked: `bidder_mask` and
-- `auction_id` are what the seller saw, and the same user blocked by id is a row of its own, so that nobody can try out
-- who is behind a mask.
CREATE TABLE bidder_blocks (
    block_id uuid PRIMARY KEY,
    seller_id uuid NOT NULL,
    bidder_id uuid NOT NULL,
    auction_id uuid,
    bidder_mask text,
    reason text NOT NULL CHECK (length(reason) <= 500),
    at_ms bigint NOT NULL,
    UNIQUE NULLS NOT DISTINCT (seller_id, bidder_id, auction_id),
    CHECK ((auction_id IS NULL) = (bidder_mask IS NULL))
);
CREATE INDEX bidder_blocks_seller ON bidder_blocks (seller_id, block_id);
