"""Auctions and bids in PostgreSQL.

Lock order: a seller's blocks, auctions by id, listings by id, exposures by user and currency, then streams, then
idempotency. Opening an auction locks its listing first, and waits for no auction.
"""
