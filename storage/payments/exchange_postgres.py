"""Exchange of currencies: reference rates, terms and quotes as their tables keep them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.copying import copy_rows
from storage.platform.sql import load

_sql = load(__file__, "exchange.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesRow:
    """Reference rates of a day."""

    source: str
    as_of_ms: int
    fetched_at_ms: int
    rates: Mapping[str, str]
    """Currency -> how much of it is one euro, as decimal text; the euro itself is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsRow:
    """What the market asks for in a currency; None: the default."""

    currency: str
    spread_bp: int | None
    stock_floor_minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRow:
    """A quote: what is sold, bought and kept, and the ids of the transfers that it will book."""

    quote_id: UUID
    owner_id: UUID
    sell_currency: str
    sell_minor: int
    buy_currency: str
    gross_minor: int
    spread_minor: int
    stock_floor_minor: int
    created_at_ms: int
    expires_at_ms: int
    used: bool
    sold_id: UUID
    bought_id: UUID
    spread_id: UUID


async def read_rates(db: Connection) -> RatesRow | None:
    """Return the newest rates, or None. Cost: one row."""
    row = await db.fetchrow(_sql.read_rates)
    return None if row is None else RatesRow(**{**row, "rates": json.loads(row["rates"])})


async def write_rates(db: Connection, row: RatesRow) -> None:
    """Keep rates, unless newer ones of the same source are kept. Cost: one round trip."""
    rates = json.dumps(dict(row.rates))
    await db.execute(_sql.write_rates, row.source, row.as_of_ms, row.fetched_at_ms, rates)


async def read_terms(db: Connection, currencies: Sequence[str]) -> dict[str, TermsRow]:
    """Return the terms of currencies about which something was said. Cost: one round trip."""
    rows = await db.fetch(_sql.read_terms, list(currencies))
    return {row["currency"]: TermsRow(**row) for row in rows}


async def write_terms(db: Connection, row: TermsRow) -> None:
    """Keep the terms of a currency. Cost: one round trip."""
    await db.execute(_sql.write_terms, row.currency, row.spread_bp, row.stock_floor_minor)


async def lock_stock(db: Connection, currency: str) -> None:
    """Let no other exchange into a currency happen until commit. Cost: two round trips."""
    await db.execute(_sql.make_stock, currency)
    await db.fetchval(_sql.lock_stock, currency)


async def read_stock(db: Connection, currency: str) -> int:
    """Return what the market has of a currency, below zero where it owes some. Cost: one index range."""
    return int(await db.fetchval(_sql.read_stock, currency))


async def insert_quote(db: Connection, row: QuoteRow) -> None:
    """Keep a quote. Cost: one round trip."""
    await copy_rows(db, "exchange_quotes", [row], tuple(QuoteRow.__dataclass_fields__))


async def lock_quote(db: Connection, quote_id: UUID, owner_id: UUID) -> QuoteRow | None:
    """Return a quote of an owner, locked until commit, or None. Cost: one round trip."""
    row = await db.fetchrow(_sql.lock_quote, quote_id, owner_id)
    return None if row is None else QuoteRow(**row)


async def use_quote(db: Connection, quote_id: UUID) -> None:
    """Keep that a locked quote is used. Cost: one round trip."""
    await db.execute(_sql.use_quote, quote_id)


async def delete_old_quotes(db: Connection, before_ms: int, limit: int) -> int:
    """Delete quotes that ended before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_quotes, before_ms, limit))
