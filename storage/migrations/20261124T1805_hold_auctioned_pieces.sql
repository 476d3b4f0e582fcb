-- Pieces that an auction sells are held on the listing's row, beside those that buyers hold, until it is settled.

ALTER TABLE listings ADD COLUMN auctioned int NOT NULL DEFAULT 0;
UPDATE listings AS l SET auctioned = least(a.quantity, l.quantity - l.reserved)
FROM auctions AS a
WHERE a.listing_id = l.listing_id AND a.status IN ('scheduled', 'live') AND a.format <> 'reverse';
ALTER TABLE listings
    DROP CONSTRAINT listings_reserved_check,
    ADD CONSTRAINT listings_held_check CHECK (reserved >= 0 AND auctioned >= 0 AND reserved + auctioned <= quantity);

ALTER TABLE stock_movements
    ADD COLUMN auctioned int NOT NULL DEFAULT 0,
    ADD COLUMN auction_id uuid,
    DROP CONSTRAINT stock_movements_kind_check,
    ADD CONSTRAINT stock_movements_kind_check
        CHECK (kind IN ('reserve', 'release', 'sale', 'adjust', 'auction', 'return'));
