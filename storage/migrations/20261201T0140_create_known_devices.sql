-- Devices that signed in to an account: what they show is not kept, only its SHA-256. Guessing from elsewhere does not lock
-- them out.
CREATE TABLE known_devices (
    user_id uuid NOT NULL REFERENCES users,
    marker_hash bytea NOT NULL CHECK (length(marker_hash) = 32),
    used_at_ms bigint NOT NULL,
    PRIMARY KEY (user_id, marker_hash)
);
CREATE INDEX known_devices_used ON known_devices (used_at_ms);
