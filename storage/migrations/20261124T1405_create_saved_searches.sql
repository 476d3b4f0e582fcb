-- Searches that users keep, and which listings they were told of.

CREATE TABLE saved_searches (
    search_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    notify boolean NOT NULL,
    filters json NOT NULL,
    -- The filters as matching needs them; null asks for nothing.
    asked_words tsquery,
    asked_category text,
    asked_condition text,
    asked_min_price bigint,
    asked_max_price bigint,
    asked_currency text,
    asked_seller_id uuid,
    asked_point geography (Point, 4326),
    asked_radius_m float8,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL,
    CHECK ((asked_min_price IS NULL) = (asked_max_price IS NULL)),
    CHECK ((asked_point IS NULL) = (asked_radius_m IS NULL))
);
CREATE INDEX saved_searches_user ON saved_searches (user_id, search_id);

-- What a search is filed under: a listing that fits has at least one of a search's anchors, so that a listing finds the
-- few searches that are worth a look.
CREATE TABLE saved_search_anchors (
    anchor text COLLATE "C" NOT NULL,
    search_id uuid NOT NULL REFERENCES saved_searches ON DELETE CASCADE,
    PRIMARY KEY (anchor, search_id)
);
CREATE INDEX saved_search_anchors_search ON saved_search_anchors (search_id);

-- Listings that fit a search; a listing fires at most once per search.
CREATE TABLE saved_search_matches (
    search_id uuid NOT NULL REFERENCES saved_searches ON DELETE CASCADE,
    listing_id uuid NOT NULL,
    user_id uuid NOT NULL,
    told boolean NOT NULL DEFAULT false,
    at_ms bigint NOT NULL,
    PRIMARY KEY (search_id, listing_id)
);
CREATE INDEX saved_search_matches_untold ON saved_search_matches (listing_id, user_id) WHERE NOT told;
