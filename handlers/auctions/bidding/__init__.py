"""Bids: placed, bought at once, retracted."""
