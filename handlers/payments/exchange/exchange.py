"""Take a quote: one chain through the market's stock of both currencies."""

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.exchange.terms import chain_of
from protocols.payments.exchange import (
    Exchange,
    Exchanged,
    QuoteExpired,
    QuoteNotFound,
    QuoteUsed,
    StockExhausted,
)
from protocols.values import Money, to_timestamp
from storage.payments.exchange_postgres import lock_quote, lock_stock, read_stock, use_quote
from storage.payments.posting import post


async def exchange(command: Exchange, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Book what a quote of the caller's says, whole or not at all.

    Raises: QuoteNotFound, QuoteUsed, QuoteExpired, InsufficientFunds, AccountFrozen, StockExhausted, BalanceTooLarge.
    """
    quote = await lock_quote(stores.db, command.quote_id, caller.id)
    if quote is None:
        raise QuoteNotFound
    if quote.used:
        raise QuoteUsed
    if now_ms >= quote.expires_at_ms:
        raise QuoteExpired
    await lock_stock(stores.db, quote.buy_currency)
    (refusal,) = await post(stores.db, [chain_of(quote)], now_ms)
    if refusal is not None:
        raise refusal
    if await read_stock(stores.db, quote.buy_currency) < quote.stock_floor_minor:
        raise StockExhausted(currency=quote.buy_currency)
    await use_quote(stores.db, quote.quote_id)
    return Outcome(
        Exchanged(
            quote_id=quote.quote_id,
            sold=Money(quote.sell_minor, quote.sell_currency),
            bought=Money(quote.gross_minor - quote.spread_minor, quote.buy_currency),
            spread=Money(quote.spread_minor, quote.buy_currency),
            at=to_timestamp(now_ms),
        )
    )
