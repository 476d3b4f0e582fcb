"""Say what the market asks for in a currency."""

from handlers.contract import Caller, Outcome, Stores
from protocols.payments.exchange import ExchangeTerms, SetExchangeTerms
from protocols.prices import check_currency
from storage.payments.exchange_postgres import TermsRow, write_terms


async def set_exchange_terms(
    command: SetExchangeTerms, _caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Keep spread and stock limit of a currency; quotes that stand keep theirs. Raises InvalidInput."""
    currency = check_currency(command.currency, "/currency")
    row = TermsRow(currency=currency, spread_bp=command.spread_bp, stock_floor_minor=command.stock_floor)
    await write_terms(stores.db, row)
    return Outcome(
        ExchangeTerms(currency=currency, spread_bp=command.spread_bp, stock_floor=command.stock_floor)
    )
