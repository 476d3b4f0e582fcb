-- Indexes that answer a search's filters and facets alone: a row is half a page wide, an entry here sixty bytes. Only what is
-- on the market is in them, since what was sold is soon the most of the table.

-- Without these the planner takes a price range for a two-hundredth of the listings, whatever it is.
CREATE STATISTICS listings_sorted_prices
    ON (coalesce(price_minor, 9007199254740992)), (coalesce(price_minor, 0)) FROM listings;

DROP INDEX listings_newest, listings_category, listings_cheapest, listings_dearest;
CREATE INDEX listings_newest ON listings (listing_id)
    INCLUDE (category, condition, currency, price_minor) WHERE status = 'active';
CREATE INDEX listings_category ON listings (category, listing_id)
    INCLUDE (condition, currency, price_minor) WHERE status = 'active';
CREATE INDEX listings_cheapest ON listings ((coalesce(price_minor, 9007199254740992)), listing_id)
    INCLUDE (category, condition, currency, price_minor) WHERE status = 'active';
CREATE INDEX listings_dearest ON listings ((coalesce(price_minor, 0)), listing_id)
    INCLUDE (category, condition, currency, price_minor) WHERE status = 'active';

DROP INDEX listings_words, listings_title_similar, listings_location;
CREATE INDEX listings_words ON listings USING gin (words) WITH (fastupdate = off) WHERE status = 'active';
CREATE INDEX listings_title_similar ON listings USING gin (title_folded gin_trgm_ops) WITH (fastupdate = off)
    WHERE status = 'active';
CREATE INDEX listings_location ON listings USING gist (location) WHERE status = 'active';

ANALYZE listings;
