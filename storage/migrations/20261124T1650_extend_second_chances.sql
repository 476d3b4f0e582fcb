-- Second chances of several units: an offer is for so many of them, and as many offers are accepted as there are units. Which
-- ones is decided under the lock of the auction's row.
ALTER TABLE second_chances ADD COLUMN quantity int NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 1 AND 100);
DROP INDEX second_chances_accepted;
