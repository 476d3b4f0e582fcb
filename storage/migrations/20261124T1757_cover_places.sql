-- The index of places answers the facets of a circle alone, as those of an order do: a row is half a page wide.
-- The place stands twice: the key is only the box around it. So no list by distance may ask for covered columns alone: it
-- would be planned as a scan of this index, whose order by boxes PostgreSQL refuses to correct.

DROP INDEX listings_location;
CREATE INDEX listings_location ON listings USING gist (location)
    INCLUDE (location, listing_id, category, condition, currency, price_minor) WHERE status = 'active';
