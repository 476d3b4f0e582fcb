"""Second-chance offers after an auction."""
