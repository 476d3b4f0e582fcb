-- When whoever has the session last showed a factor: at its sign-in, or afterwards when asked again.
ALTER TABLE sessions ADD COLUMN fresh_at_ms bigint NOT NULL DEFAULT 0;
