-- Drafts, stock, and reservations that end by themselves.

ALTER TABLE listings
    DROP CONSTRAINT listings_status_check,
    ADD CONSTRAINT listings_status_check CHECK (status IN ('draft', 'active', 'withdrawn', 'sold')),
    DROP CONSTRAINT listings_quantity_check,
    ADD CONSTRAINT listings_quantity_check CHECK (quantity BETWEEN 0 AND 10000),
    -- `quantity` is what is on hand; what buyers hold for a while is part of it.
    ADD COLUMN reserved int NOT NULL DEFAULT 0,
    -- The version in which the seller last changed what a buyer agrees to: price, text, condition … but not the stock.
    ADD COLUMN terms_version int NOT NULL DEFAULT 1,
    ADD CONSTRAINT listings_reserved_check CHECK (reserved BETWEEN 0 AND quantity);
UPDATE listings SET terms_version = version WHERE version > 1;

-- Pieces held for one buyer at the price of that instant. All changes hold the listing's row locked.
CREATE TABLE stock_reservations (
    reservation_id uuid PRIMARY KEY,
    listing_id uuid NOT NULL REFERENCES listings,
    buyer_id uuid NOT NULL,
    quantity int NOT NULL CHECK (quantity > 0),
    price_minor bigint NOT NULL CHECK (price_minor > 0),
    currency text NOT NULL CHECK (length(currency) = 3),
    listing_version int NOT NULL,
    status text NOT NULL DEFAULT 'held' CHECK (status IN ('held', 'released', 'expired', 'sold')),
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL
);
CREATE INDEX stock_reservations_buyer ON stock_reservations (buyer_id, reservation_id);
CREATE INDEX stock_reservations_held ON stock_reservations (buyer_id) WHERE status = 'held';

-- Every change of stock, numbered by the version of the listing it made.
CREATE TABLE stock_movements (
    listing_id uuid NOT NULL,
    version int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('reserve', 'release', 'sale', 'adjust')),
    quantity int NOT NULL,
    on_hand int NOT NULL,
    reserved int NOT NULL,
    reservation_id uuid,
    at_ms bigint NOT NULL,
    PRIMARY KEY (listing_id, version)
);
