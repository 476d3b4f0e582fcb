"""Deposits that auctions ask of their bidders: taken with the first bid, returned or applied when they are over."""
