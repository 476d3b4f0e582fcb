"""Where clients come in: websockets through a handshake, and streams and posts where websockets are not let through."""
