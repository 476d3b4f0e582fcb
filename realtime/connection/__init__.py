"""One client: connect, subscribe, ask, commands in order."""
