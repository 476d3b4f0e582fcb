-- hold_files --
-- Note that files of a photo may come into the store, and are not to be deleted before an instant. Index:
-- photo_files_pkey. Locks: the row; waits for a deletion under way.
INSERT INTO photo_files (photo_id, listing_id, held_until_ms) VALUES ($1, $2, $3)
ON CONFLICT (photo_id) DO UPDATE SET held_until_ms = greatest(photo_files.held_until_ms, excluded.held_until_ms);

-- read_held_until --
-- Until when files of these photos are held. At most one row each. Index: photo_files_pkey.
SELECT photo_id, held_until_ms FROM photo_files WHERE photo_id = ANY ($1::uuid[]);

-- take_unused --
-- Forget those of these photos that nobody holds at the instant $2 and no listing shows; their files are to be deleted
-- in this transaction. Index: photo_files_pkey. Locks: the rows, so that an upload of the same picture waits.
DELETE FROM photo_files AS f
WHERE photo_id = ANY ($1::uuid[]) AND held_until_ms <= $2 AND NOT EXISTS (
    SELECT FROM listings AS l, json_array_elements(l.photos) AS shown
    WHERE l.listing_id = f.listing_id AND (shown ->> 'photo_id')::uuid = f.photo_id
)
RETURNING photo_id;

-- read_owner --
-- Status and seller of the listing that shows a photo. 0 or 1 row. Index: photo_files_pkey, listings_pkey.
SELECT l.status, l.seller_id FROM photo_files AS f JOIN listings AS l USING (listing_id)
WHERE f.photo_id = $1 AND EXISTS (
    SELECT FROM json_array_elements(l.photos) AS shown WHERE (shown ->> 'photo_id')::uuid = f.photo_id
);
