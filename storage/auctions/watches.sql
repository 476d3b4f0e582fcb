-- lock_watches --
-- Nothing: the watches of one user are changed by one transaction at a time. Locks: an advisory lock until commit.
SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 7161962));

-- count_watches --
-- How many auctions a user watches without having bid. Index: auction_watches_user.
SELECT count(*) FROM auction_watches WHERE user_id = $1 AND watching AND NOT has_bid;

-- read_watch --
-- One watch. 0 or 1 row. Index: auction_watches_pkey.
SELECT watching, has_bid, remind_before_s FROM auction_watches WHERE auction_id = $1 AND user_id = $2;

-- write_watch --
-- Begin to watch, or change when to be reminded. Locks: the row.
INSERT INTO auction_watches (auction_id, user_id, watching, has_bid, remind_before_s, at_ms)
VALUES ($1, $2, true, false, $3, $4)
ON CONFLICT (auction_id, user_id) DO UPDATE SET watching = true, remind_before_s = excluded.remind_before_s;

-- stop_bidders_watch --
-- A bidder does not watch any more; the row remembers it. Locks: the row.
UPDATE auction_watches SET watching = false WHERE auction_id = $1 AND user_id = $2 AND has_bid;

-- delete_watch --
-- A user does not watch any more. Locks: the row.
DELETE FROM auction_watches WHERE auction_id = $1 AND user_id = $2 AND NOT has_bid;

-- count_one_more --
-- Count one more watcher of an auction. Returns the new count. Locks: the count's row.
INSERT INTO auction_watch_counts AS c (auction_id, watchers) VALUES ($1, 1)
ON CONFLICT (auction_id) DO UPDATE SET watchers = c.watchers + 1
RETURNING watchers;

-- count_one_less --
-- Count one watcher less of an auction that has some. Returns the new count. Locks: the count's row.
UPDATE auction_watch_counts SET watchers = watchers - 1 WHERE auction_id = $1 RETURNING watchers;

-- read_watcher_count --
-- How many watch an auction. 0 or 1 row. Index: auction_watch_counts_pkey.
SELECT watchers FROM auction_watch_counts WHERE auction_id = $1;

-- delete_oldest_ended_watch --
-- Forget the watch of a user whose auction has been over for the longest time. Returns its auction, or no row when all are
-- open. Index: auction_watches_user, all watches of the user, and auctions_pkey. Locks: the row.
DELETE FROM auction_watches WHERE (auction_id, user_id) = (
    SELECT w.auction_id, w.user_id FROM auction_watches AS w JOIN auctions AS a USING (auction_id)
    WHERE w.user_id = $1 AND w.watching AND NOT w.has_bid AND a.status NOT IN ('scheduled', 'live')
    ORDER BY a.ends_at_ms LIMIT 1
)
RETURNING auction_id;

-- watch_for_bidders --
-- Have bidders watch ($1 auctions, $2 users, reminded $3 seconds before the end), unless they have bid there before: then
-- their row knows. Returns those for whom it was news. Index: auction_watches_pkey. Locks: new rows, then the counts'.
WITH noted AS (
    INSERT INTO auction_watches AS w (auction_id, user_id, watching, has_bid, remind_before_s, at_ms)
    SELECT auction_id, user_id, true, true, $3::int[], $4
    FROM unnest($1::uuid[], $2::uuid[]) AS new (auction_id, user_id)
    ON CONFLICT (auction_id, user_id) DO UPDATE SET has_bid = true WHERE NOT w.has_bid
    RETURNING auction_id, user_id, xmax = '0' AS is_new  -- a row that was updated has an xmax
), counted AS (
    INSERT INTO auction_watch_counts AS c (auction_id, watchers)
    SELECT auction_id, count(*) FROM noted WHERE is_new GROUP BY auction_id ORDER BY auction_id
    ON CONFLICT (auction_id) DO UPDATE SET watchers = c.watchers + excluded.watchers
)
SELECT auction_id, user_id FROM noted;

-- list_watched --
-- The auctions a user watches after a position in this order, at most $5: open ones by their end, then those that are over,
-- the latest first. $6: only open ones (true), only others (false), or all (null); $7: only those of a status, or all (null).
-- Each comes with title and first photo of its goods.
-- Index: auction_watches_user, all watches of the user, and auctions_pkey, or auctions_status_ends for a crowd of them; whole
-- rows and listings_pkey are read for the page alone.
WITH page AS MATERIALIZED (
    SELECT w.auction_id, position.is_over, position.rank
    FROM auction_watches AS w
    JOIN auctions AS a USING (auction_id)
    CROSS JOIN LATERAL (
        SELECT a.status NOT IN ('scheduled', 'live') AS is_over,
               CASE WHEN a.status IN ('scheduled', 'live') THEN a.ends_at_ms ELSE -a.ends_at_ms END AS rank
    ) AS position
    WHERE w.user_id = $1 AND w.watching
      AND (position.is_over, position.rank, w.auction_id) > ($2::boolean, $3::bigint, $4::uuid)
      AND ($6::boolean IS NULL OR position.is_over <> $6)
      AND ($7::text IS NULL OR a.status = $7)
    ORDER BY position.is_over, position.rank, w.auction_id
    LIMIT $5
)
SELECT a.auction_id, a.listing_id, a.seller_id, a.format, a.currency, a.starting_price, a.reserve_price, a.buy_now_price,
       a.starts_at_ms, a.status, a.event_number, a.price, a.minimum_bid, a.leader_id, a.leader_max, a.bid_count, a.ends_at_ms,
       a.extensions, a.leader_mask, a.fall, a.group_id, a.quantity, w.has_bid, w.remind_before_s,
       (SELECT json_build_array(l.title, l.photos -> 0) FROM listings AS l WHERE l.listing_id = a.listing_id) AS goods, (
    SELECT p.amount FROM auction_places AS p
    WHERE a.quantity > 1 AND p.auction_id = a.auction_id AND p.bidder_id = w.user_id
) AS your_maximum
FROM page
JOIN auctions AS a USING (auction_id)
JOIN auction_watches AS w ON w.auction_id = page.auction_id AND w.user_id = $1
ORDER BY page.is_over, page.rank, a.auction_id;

-- read_notified --
-- How far the watchers of these auctions have been told something of this kind. Index: auction_tellings_pkey.
SELECT auction_id, after_user_id FROM auction_tellings WHERE auction_id = ANY($1::uuid[]) AND kind = $2;

-- read_watchers --
-- Up to $4 watchers of each auction after a user ($2, by auction), in the order of users; those reminded $3 seconds before
-- the end, or all when that is null. Index: auction_watches_pkey, one range per auction.
SELECT w.auction_id, w.user_id, w.has_bid, EXISTS (
    SELECT FROM auction_places AS p WHERE p.auction_id = w.auction_id AND p.bidder_id = w.user_id
) AS has_units
FROM unnest($1::uuid[], $2::uuid[]) AS told (auction_id, after_user_id)
CROSS JOIN LATERAL (
    SELECT auction_id, user_id, has_bid FROM auction_watches
    WHERE auction_id = told.auction_id AND user_id > told.after_user_id AND watching
      AND ($3::int IS NULL OR $3 = ANY(remind_before_s))
    ORDER BY user_id LIMIT $4
) AS w;

-- write_notified --
-- Remember how far watchers have been told ($1 auctions, $2 the last user). One row each. Locks: the rows.
INSERT INTO auction_tellings (auction_id, kind, after_user_id)
SELECT auction_id, $3, after_user_id FROM unnest($1::uuid[], $2::uuid[]) AS told (auction_id, after_user_id)
ON CONFLICT (auction_id, kind) DO UPDATE SET after_user_id = excluded.after_user_id;

-- delete_notified --
-- All watchers of these auctions have been told. Index: auction_tellings_pkey.
DELETE FROM auction_tellings WHERE auction_id = ANY($1::uuid[]) AND kind = $2;

-- delete_old_watches --
-- Forget watches of auctions that were over before an instant, bidders' too, at most $2; one row for each. The counts stay,
-- as the auctions had them. Index: auction_watches_at, from the oldest, and auctions_pkey. Locks: the rows, skipping those of other workers.
DELETE FROM auction_watches WHERE ctid = ANY(ARRAY(
    SELECT w.ctid FROM auction_watches AS w JOIN auctions AS a USING (auction_id)
    WHERE w.at_ms < $1 AND a.ends_at_ms < $1 AND a.status NOT IN ('scheduled', 'live')
    ORDER BY w.at_ms LIMIT $2 FOR UPDATE OF w SKIP LOCKED
))
RETURNING 1;
