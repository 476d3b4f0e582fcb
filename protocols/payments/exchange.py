"""Exchange of currencies: quotes, their use, what the market asks for, and what is refused."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal
from protocols.values import AMOUNT_MAX, AmountMinor, Currency, Key, Money, Timestamp

SpreadBp = Annotated[int, Meta(ge=0, le=2_000, examples=[100])]
"""Hundredths of a percent of what is bought at the reference rate."""

StockFloor = Annotated[int, Meta(ge=-AMOUNT_MAX, le=0, examples=[-1_000_000])]
"""Minor units that the market's stock of a currency may be below zero."""


class SoldAmount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given for another currency."""

    amount: AmountMinor
    currency: Currency


class QuoteExchange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask what an amount is in another currency; the quote stands for a minute and books nothing."""

    sell: SoldAmount
    buy_currency: Annotated[Currency, Meta(examples=["USD"])]
    key: Key = ""


class Exchange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a quote of yours: once, while it stands."""

    quote_id: UUID
    key: Key = ""


class SetExchangeTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what the market asks for in a currency, and how much of it may be missing; null: the default."""

    currency: Currency
    spread_bp: SpreadBp | None = None
    stock_floor: StockFloor | None = None


class ExchangeTerms(Struct, frozen=True, kw_only=True):
    """What the market asks for in a currency; null: the default."""

    currency: Currency
    spread_bp: SpreadBp | None
    stock_floor: StockFloor | None


class ExchangeQuote(Struct, frozen=True, kw_only=True):
    """What an exchange would bring."""

    id: UUID
    sell: Money
    buy: Money
    """What comes, after the spread."""
    spread: Money
    """What the market keeps of what is bought at the reference rate."""
    spread_bp: SpreadBp
    rate: Annotated[str, Meta(examples=["1.0834"])]
    """Units of what is bought for one unit of what is sold, by the reference rates."""
    rates_as_of: Timestamp
    test_rates: bool
    """The rates are invented, for development."""
    expires_at: Timestamp


class Exchanged(Struct, frozen=True, kw_only=True):
    """What an exchange brought."""

    quote_id: UUID
    """Also `ref` of its movements."""
    sold: Money
    bought: Money
    spread: Money
    at: Timestamp


class QuoteExpired(Refusal):
    """The quote stood for a minute, which is over; ask for a new one."""

    code, number, status = "quote_expired", 811, 409


class QuoteNotFound(Refusal):
    """You have no such quote."""

    code, number, status = "quote_not_found", 812, 404


class QuoteUsed(Refusal):
    """The quote was taken before: a quote is one exchange."""

    code, number, status = "quote_used", 813, 409


class RatesUnavailable(Refusal):
    """There are no reference rates, or they are too old to trade by; try again later."""

    code, number, status, temporary = "rates_unavailable", 814, 503, True


class CurrencyNotExchanged(Refusal):
    """There is no reference rate for this currency."""

    code, number, status = "currency_not_exchanged", 815, 422
    example = {"currency": "XPF"}  # noqa: RUF012 - never changed


class StockExhausted(Refusal):
    """The market has not that much of the currency; take less, or try again later."""

    code, number, status = "stock_exhausted", 816, 409
    example = {"currency": "USD"}  # noqa: RUF012 - never changed


class AmountTooSmall(Refusal):
    """The amount is worth nothing in the other currency once the market has kept its part."""

    code, number, status = "amount_too_small", 817, 422
