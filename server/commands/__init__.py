"""From a client's bytes to a committed answer: decoding, limits, the pipeline, group commit."""
