"""Decisions: one folder per domain, one file per verb, pure rules in `rules.py`, the table of contents in ROUTES."""
