"""The only code that talks to machines outside: engines, one folder per domain, SQL in `.sql` files, migrations.

Lock order, for every transaction: auctions by id, then listings by id, then streams by name, then idempotency keys.
"""
