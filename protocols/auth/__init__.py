"""Accounts, sessions and tokens on the wire."""
