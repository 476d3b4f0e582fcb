"""Second factors: codes of an authenticator app, recovery codes, and proving again that it is you."""
