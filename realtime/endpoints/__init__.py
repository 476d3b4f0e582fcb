"""Endpoints: websockets, and HTTP streams with posted commands for networks that block websockets."""
