"""What every domain stands on: events, timers, idempotency, the bus, presence, migrations."""
