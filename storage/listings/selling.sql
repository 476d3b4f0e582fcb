-- sell_units --
-- Take pieces off active listings, the last ones make it sold. One row per listing: listing_id, status, pieces left,
-- version. Index: listings_pkey. Locks: the rows until commit, in the order of ids.
WITH locked AS MATERIALIZED (
    SELECT l.listing_id, w.units
    FROM listings AS l JOIN unnest($1::uuid[], $2::int[]) AS w (listing_id, units) USING (listing_id)
    WHERE l.status = 'active'
    ORDER BY l.listing_id FOR UPDATE OF l
)
UPDATE listings AS l
SET status = CASE WHEN l.quantity > s.units THEN 'active' ELSE 'sold' END,
    quantity = greatest(l.quantity - s.units, 1), version = l.version + 1,
    updated_at_ms = greatest(l.updated_at_ms, $3)
FROM locked AS s WHERE l.listing_id = s.listing_id
RETURNING l.listing_id, l.status, CASE WHEN l.status = 'sold' THEN 0 ELSE l.quantity END, l.version;
