"""Listings and categories on PostgreSQL: rows, full-text and distance search, facets."""
