"""Saved searches: kept, matched with new listings, their owners notified."""
