-- Lists of one owner's things that may be asked for by status: of a hundred thousand sold ones, the page of drafts is found
-- without reading them. Without a status each status is read as far as a page reaches, so one index serves both.

DROP INDEX listings_seller, stock_reservations_buyer, auctions_seller_ends, second_chances_seller, second_chances_bidder,
    auction_bidders_requests, auction_signals_seller;
CREATE INDEX listings_seller ON listings (seller_id, status, listing_id);
CREATE INDEX stock_reservations_buyer ON stock_reservations (buyer_id, status, reservation_id);
CREATE INDEX auctions_seller_ends ON auctions (seller_id, status, ends_at_ms, auction_id);
CREATE INDEX second_chances_seller ON second_chances (seller_id, status, offer_id);
CREATE INDEX second_chances_bidder ON second_chances (bidder_id, status, offer_id);
CREATE INDEX auction_bidders_requests ON auction_bidders (auction_id, status, requested_at_ms, bidder_id);
CREATE INDEX auction_signals_seller ON auction_signals (seller_id, status, signal_id);
