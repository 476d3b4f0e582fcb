"""Auctions as clients read them: one, lists, bids, the page, the audit."""
