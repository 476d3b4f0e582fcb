"""Signals of abuse, for support alone."""
