"""What a worker process does: relay, timers, retention."""
