"""Money that waits for the end of a deal: read by its parties, released by who paid, judged by support."""
