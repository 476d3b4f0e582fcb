-- Who watches which auction, and how far a crowd of watchers has been told something.

-- One row per user and auction. Bidding watches too: `has_bid` keeps the row of a bidder who stopped watching, so that the
-- next bid does not begin it again. `remind_before_s` are the lead times of `ending_soon`.
CREATE TABLE auction_watches (
    auction_id uuid NOT NULL,
    user_id uuid NOT NULL,
    watching boolean NOT NULL,
    has_bid boolean NOT NULL,
    remind_before_s int[] NOT NULL CHECK (cardinality(remind_before_s) <= 3),
    at_ms bigint NOT NULL,
    PRIMARY KEY (auction_id, user_id),
    CHECK (watching OR has_bid)
);
CREATE INDEX auction_watches_user ON auction_watches (user_id, auction_id) WHERE watching;

-- How many watch an auction: counted as they come and go, because a crowd is too many to count for every reader.
CREATE TABLE auction_watch_counts (
    auction_id uuid PRIMARY KEY,
    watchers bigint NOT NULL CHECK (watchers >= 0)
);

-- Crowds that are being told something, a chunk at a time: everybody up to `after_user_id` has been told.
CREATE TABLE auction_tellings (
    auction_id uuid NOT NULL,
    kind text NOT NULL,
    after_user_id uuid NOT NULL,
    PRIMARY KEY (auction_id, kind)
);

-- Those who have bid on open auctions watch them.
INSERT INTO auction_watches (auction_id, user_id, watching, has_bid, remind_before_s, at_ms)
SELECT b.auction_id, b.bidder_id, true, true, '{600}', min(b.at_ms)
FROM (
    SELECT auction_id, bidder_id, at_ms FROM bids
    UNION ALL SELECT auction_id, bidder_id, at_ms FROM sealed_bids
) AS b JOIN auctions AS a USING (auction_id)
WHERE a.status = 'live'
GROUP BY b.auction_id, b.bidder_id;
INSERT INTO auction_watch_counts (auction_id, watchers)
SELECT auction_id, count(*) FROM auction_watches GROUP BY auction_id;
INSERT INTO timers (due_at_ms, kind, ref)
SELECT a.ends_at_ms - lead.s * 1000, 'ending_soon_' || lead.s, a.auction_id
FROM auctions AS a CROSS JOIN (VALUES (60), (600), (3600)) AS lead (s)
WHERE a.status IN ('scheduled', 'live') AND a.ends_at_ms - lead.s * 1000 > extract(epoch FROM now()) * 1000;
