"""Read whether the books add up."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.treasury.totals import read_treasury
from protocols.payments.commands import GetTreasury


async def get_treasury(_command: GetTreasury, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the totals of every currency at one instant, whether they balance, and which accounts are wrong."""
    return Outcome(await read_treasury(stores.db))
