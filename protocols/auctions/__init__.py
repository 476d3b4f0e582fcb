"""Auctions on the wire: commands, replies, events, refusals."""
