-- hold_files --
-- Note that files of a photo may come into the store, and are not to be deleted before an instant. Returns the id under
-- which they are stored: a new one ($4) if there are none, or those there are are being deleted. Index: photo_files_pkey.
-- Locks: the row.
INSERT INTO photo_files AS f (photo_id, listing_id, held_until_ms, files_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (photo_id) DO UPDATE SET
    held_until_ms = greatest(f.held_until_ms, excluded.held_until_ms),
    files_id = CASE WHEN f.is_unused THEN excluded.files_id ELSE f.files_id END,
    is_unused = false
RETURNING files_id;

-- read_held_until --
-- Until when files of these photos are held. At most one row each. Index: photo_files_pkey.
SELECT photo_id, held_until_ms FROM photo_files WHERE photo_id = ANY ($1::uuid[]);

-- mark_unused --
-- Mark those of these photos that nobody holds at the instant $2 and no listing shows. Returns the ids of their files,
-- which are to be deleted. Index: photo_files_pkey. Locks: the rows.
UPDATE photo_files AS f SET is_unused = true
WHERE photo_id = ANY ($1::uuid[]) AND held_until_ms <= $2 AND NOT is_unused AND NOT EXISTS (
    SELECT FROM listings AS l, json_array_elements(l.photos) AS shown
    WHERE l.listing_id = f.listing_id AND (shown ->> 'photo_id')::uuid = f.photo_id
)
RETURNING files_id;

-- forget_files --
-- Forget a photo whose files were deleted, unless it has others by now. Index: photo_files_files. Locks: the row.
DELETE FROM photo_files WHERE files_id = $1 AND is_unused;

-- read_owner --
-- Status and seller of the listing that shows a photo, and the id of its files. 0 or 1 row. Index: photo_files_pkey,
-- listings_pkey.
SELECT l.status, l.seller_id, f.files_id FROM photo_files AS f JOIN listings AS l USING (listing_id)
WHERE f.photo_id = $1 AND EXISTS (
    SELECT FROM json_array_elements(l.photos) AS shown WHERE (shown ->> 'photo_id')::uuid = f.photo_id
);
