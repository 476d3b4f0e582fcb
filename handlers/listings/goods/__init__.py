"""Goods that may not be brought somewhere: rules as data, and verdicts."""
