"""Transports: handshakes, frames, streams, outgoing buffers, deadlines, admission."""
