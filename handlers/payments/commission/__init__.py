"""What the market keeps of deals, by version."""
