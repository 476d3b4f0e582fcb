"""Auctions and bids in PostgreSQL. Lock order: auctions by id, then streams, then idempotency."""
