"""Replace a currency's increment table. Rules: rules.py `custom_steps`."""

from handlers.auctions.increments import Table, read_table, refuse, to_version
from handlers.auctions.rules import custom_steps
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.increments import SetIncrements
from storage.auctions.increments_postgres import insert_table, lock_tables


async def set_increments(command: SetIncrements, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Make a new version for auctions opened from now on, unless it is the table that holds. Raises InvalidInput."""
    try:
        steps = custom_steps(command.increments)
    except ValueError as error:
        raise refuse("increments", f"Increments: {error}") from None
    await lock_tables(stores.db, command.currency)
    newest = await read_table(stores.db, command.currency)
    if newest.steps == steps:
        return Outcome(to_version(newest))
    made = Table(newest.version + 1, steps, now_ms)
    await insert_table(
        stores.db, command.currency, made.version, (steps.limits, steps.steps), caller.id, now_ms
    )
    return Outcome(to_version(made))
