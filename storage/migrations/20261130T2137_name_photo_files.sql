-- Files of a photo are stored under an id of their own, a new one whenever files of a photo come back that are being
-- deleted: whoever still deletes the former ones, however late, cannot meet the new ones.
ALTER TABLE photo_files ADD COLUMN files_id uuid;
UPDATE photo_files SET files_id = photo_id;
ALTER TABLE photo_files ALTER COLUMN files_id SET NOT NULL;
CREATE UNIQUE INDEX photo_files_files ON photo_files (files_id);

-- Nobody holds or shows the photo, and a job is to delete its files.
ALTER TABLE photo_files ADD COLUMN is_unused boolean NOT NULL DEFAULT false;
