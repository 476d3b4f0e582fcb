"""Who follows a channel, how many follow it, and how far each has got."""
