"""Who may follow which channel, and what is behind it."""
