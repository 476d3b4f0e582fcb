"""Acting as a cardholder or a bank where the test provider is in use, and what that provider does by itself."""
