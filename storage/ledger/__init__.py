"""The transparency log's tables: queued leaves, entries, tiles, checkpoints."""
