"""Sockets and fan-out: the Centrifuge protocol, the hub, writers and lanes. Knows no domain and no database."""
