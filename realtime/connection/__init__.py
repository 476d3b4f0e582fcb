"""One client: connect, commands in order, outgoing bytes, deadlines."""
