"""Listings on the wire: goods, stock, photos, saved searches."""
