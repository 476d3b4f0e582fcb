-- What is forgotten once it is old is found by its age.

CREATE INDEX bidder_activity_at ON bidder_activity (at_ms);
CREATE INDEX auction_watches_at ON auction_watches (at_ms);
