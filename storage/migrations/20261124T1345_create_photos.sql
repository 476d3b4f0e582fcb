-- Photos of listings. Their order, captions and sizes are part of the listing, so that they change under its lock and
-- count its version; the pictures themselves are files of a photo store.

ALTER TABLE listings ADD COLUMN photos json NOT NULL DEFAULT '[]';

-- Photos whose files may be in the store. A file is deleted once no listing shows it and nobody is uploading it.
CREATE TABLE photo_files (
    photo_id uuid PRIMARY KEY,
    listing_id uuid NOT NULL,
    held_until_ms bigint NOT NULL
);
