"""How auctions end: by the clock, by a command, and who is notified."""
