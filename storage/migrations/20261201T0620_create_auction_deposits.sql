-- Money that an auction asks of its bidders. A deposit is a hold of the bidder's wallet, and has its id.

ALTER TABLE auctions ADD COLUMN deposit_minor bigint CHECK (deposit_minor > 0);

CREATE TABLE auction_deposits (
    deposit_id uuid PRIMARY KEY,
    auction_id uuid NOT NULL,
    bidder_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    status text COLLATE "C" NOT NULL CHECK (status IN ('taken', 'returned', 'applied', 'lapsed')),
    at_ms bigint NOT NULL,
    UNIQUE (auction_id, bidder_id)
);
CREATE INDEX auction_deposits_taken ON auction_deposits (auction_id, deposit_id) WHERE status = 'taken';
