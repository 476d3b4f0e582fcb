"""Money that comes in by card: top-ups, saved cards, refunds, disputes."""
