"""Bytes of sockets and streams: handshakes, frames, the emulated transports."""
