"""Statements of wallets: pages of JSON, and files."""
