"""The verbs of `./mnbara`."""
