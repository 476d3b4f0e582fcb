"""Connections to the engines: open, close, time out, ping, and translate drivers' errors into faults."""
