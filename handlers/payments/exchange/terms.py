"""What the market asks for in two currencies, and the chain that a quote books."""

from collections.abc import Mapping, Sequence
from math import ceil

from handlers.payments.exchange.rules import minor_rate, rate_of
from protocols.payments.postings import PLATFORM, Account, Step, Transfer
from protocols.values import AMOUNT_MAX
from storage.payments.exchange_postgres import QuoteRow, TermsRow
from storage.payments.posting_rules import available

SPREAD_BP = 100
"""Of a currency about which nothing was said: one percent."""

STOCK_FLOOR_EUR_MINOR = -1_000_000
"""Likewise: 10,000 EUR's worth may be missing."""


def spread_of(terms: Mapping[str, TermsRow], currencies: Sequence[str]) -> int:
    """Return the spread of a pair: the larger one of the two."""
    return max(_spread(terms.get(code)) for code in currencies)


def floor_of(terms: TermsRow | None, currency: str, rates: Mapping[str, str]) -> int:
    """Return how far the stock of a currency may be below zero, in its minor units."""
    if terms is not None and terms.stock_floor_minor is not None:
        return terms.stock_floor_minor
    per_minor = minor_rate(rate_of(rates, "EUR", currency), "EUR", currency)
    return max(-AMOUNT_MAX, ceil(STOCK_FLOOR_EUR_MINOR * per_minor))


def chain_of(quote: QuoteRow) -> list[Step]:
    """Return what a quote books: the amount goes, all that it is worth comes, the market's part goes back."""
    sold, bought = quote.sell_currency, quote.buy_currency
    steps: list[Step] = [
        Transfer(
            transfer_id=quote.sold_id,
            debit=available(quote.owner_id, sold),
            credit=Account(PLATFORM, sold, "exchange"),
            amount_minor=quote.sell_minor,
            reason="exchange",
            ref=quote.quote_id,
        ),
        Transfer(
            transfer_id=quote.bought_id,
            debit=Account(PLATFORM, bought, "exchange"),
            credit=available(quote.owner_id, bought),
            amount_minor=quote.gross_minor,
            reason="exchange",
            ref=quote.quote_id,
        ),
    ]
    if quote.spread_minor:
        steps.append(
            Transfer(
                transfer_id=quote.spread_id,
                debit=available(quote.owner_id, bought),
                credit=Account(PLATFORM, bought, "commission"),
                amount_minor=quote.spread_minor,
                reason="exchange_spread",
                ref=quote.quote_id,
            )
        )
    return steps


def _spread(terms: TermsRow | None) -> int:
    return SPREAD_BP if terms is None or terms.spread_bp is None else terms.spread_bp
