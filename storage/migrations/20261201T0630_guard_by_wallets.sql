-- An auction whose bids have to be covered by their bidders' wallets too.
ALTER TABLE auctions ADD COLUMN wallet_guard boolean NOT NULL DEFAULT false;
