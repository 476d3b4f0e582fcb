"""Money that goes out to banks: payout accounts and payouts."""
