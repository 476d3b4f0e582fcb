"""Channels: replayed and latest lanes, fan-out, recovery, deltas, tags."""
