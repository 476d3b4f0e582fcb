"""What the market keeps of a deal, for whoever makes one."""

from protocols.payments.deals import Deal, Quote
from storage.engines.postgres import Connection
from storage.payments.commission_postgres import read_effective
from storage.payments.commission_rules import quote_deal


async def quote_commission(db: Connection, deal: Deal, now_ms: int) -> Quote:
    """Return what is kept of a deal by the rules that hold now; who makes the deal keeps the quote.

    Cost: one round trip, one index probe.
    """
    row = await read_effective(db, now_ms)
    return quote_deal(0, (), (), deal) if row is None else quote_deal(row.version, row.rules, row.taxes, deal)
