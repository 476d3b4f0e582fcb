"""Our books compared with the provider's, once a day."""
