"""The names of the channels of payments."""

TREASURY = "treasury"
"""The one channel of the market's books, and its stream."""
