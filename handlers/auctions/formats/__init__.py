"""The auction formats: one table, and the pure rules of each."""
