"""Bytes of sockets and streams: handshakes, frames, outgoing buffers, deadlines, admission."""
