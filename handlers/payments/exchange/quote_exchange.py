"""Quote an exchange."""

from typing import NoReturn

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.exchange import rules, terms
from protocols.errors import InvalidInput
from protocols.payments.exchange import ExchangeQuote, QuoteExchange, RatesUnavailable
from protocols.prices import check_currency
from protocols.values import Money, new_id, to_timestamp
from storage.payments.exchange_postgres import QuoteRow, RatesRow, insert_quote, read_rates, read_terms
from storage.payments.rates_sources import DEVELOPMENT

TIME_TO_LIVE_MS = 60_000
"""How long a quote stands, whatever the rates do."""


async def quote_exchange(command: QuoteExchange, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return what an amount brings in another currency, for a minute. Nothing is booked, nothing is set aside.

    Raises: InvalidInput, RatesUnavailable, CurrencyNotExchanged, AmountTooSmall, StockExhausted.
    """
    sell, buy = command.sell.currency, command.buy_currency
    check_currency(sell, "/sell/currency")
    check_currency(buy, "/buy_currency")
    if sell == buy:
        _refuse("/buy_currency", "The two currencies are the same")
    rates = await read_rates(stores.db)
    if rates is None or not rules.is_fresh(rates.as_of_ms, now_ms):
        raise RatesUnavailable
    asked = await read_terms(stores.db, [sell, buy])
    rate = rules.rate_of(rates.rates, sell, buy)
    spread_bp = terms.spread_of(asked, [sell, buy])
    price = rules.price_of(command.sell.amount, rules.minor_rate(rate, sell, buy), spread_bp)
    quote = QuoteRow(
        quote_id=new_id(),
        owner_id=caller.id,
        sell_currency=sell,
        sell_minor=command.sell.amount,
        buy_currency=buy,
        gross_minor=price.gross_minor,
        spread_minor=price.spread_minor,
        stock_floor_minor=terms.floor_of(asked.get(buy), buy, rates.rates),
        created_at_ms=now_ms,
        expires_at_ms=now_ms + TIME_TO_LIVE_MS,
        used=False,
        sold_id=new_id(),
        bought_id=new_id(),
        spread_id=new_id(),
    )
    await insert_quote(stores.db, quote)
    return Outcome(_to_quote(quote, rates, spread_bp, rules.rate_text(rate)))


def _to_quote(quote: QuoteRow, rates: RatesRow, spread_bp: int, rate: str) -> ExchangeQuote:
    return ExchangeQuote(
        id=quote.quote_id,
        sell=Money(quote.sell_minor, quote.sell_currency),
        buy=Money(quote.gross_minor - quote.spread_minor, quote.buy_currency),
        spread=Money(quote.spread_minor, quote.buy_currency),
        spread_bp=spread_bp,
        rate=rate,
        rates_as_of=to_timestamp(rates.as_of_ms),
        test_rates=rates.source == DEVELOPMENT,
        expires_at=to_timestamp(quote.expires_at_ms),
    )


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])
