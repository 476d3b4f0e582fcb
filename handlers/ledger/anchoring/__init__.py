"""Anchors: states of the log that are written to a chain, where nobody changes them."""
