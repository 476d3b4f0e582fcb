"""Load and demo clients: they speak the public words only, as any client does."""
