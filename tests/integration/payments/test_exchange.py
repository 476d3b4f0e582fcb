"""Exchange on real engines: quotes and who may take them, the market's stock, and where rates come from."""

import asyncio
import gzip
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from handlers import payments
from handlers.domain import Job
from handlers.payments.exchange.refresh_rates import fetch_rates
from protocols.errors import InvalidInput, Refusal
from protocols.payments.exchange import (
    CurrencyNotExchanged,
    QuoteExpired,
    QuoteNotFound,
    QuoteUsed,
    RatesUnavailable,
    StockExhausted,
)
from protocols.payments.postings import PLATFORM
from protocols.payments.refusals import InsufficientFunds
from protocols.values import new_id, now_instant, to_instant
from storage.payments.accounts_postgres import freeze_account
from storage.payments.exchange_postgres import RatesRow, read_rates, write_rates
from storage.payments.posting_rules import available
from storage.payments.rates_sources import BYTES_MAX, RatesSource, open_rates, parse_ecb
from tests.support.domains import Market, open_market
from tests.support.money import assert_books_are_right, book, top_up

RATES = {"EUR": "1", "USD": "1.25", "JPY": "160", "KWD": "0.335"}
FILE = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"><Cube>
<Cube time='2026-11-30'><Cube currency='USD' rate='1.0834'/><Cube currency='JPY' rate='162.55'/>
<Cube currency='QQQ' rate='3'/><Cube currency='SEK' rate='0'/></Cube></Cube></gesmes:Envelope>"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_market((payments.DOMAIN,), database, redis) as opened:
        await keep_rates(opened, now_instant())
        yield opened


async def keep_rates(market: Market, as_of_ms: int, source: str = "ecb") -> None:
    row = RatesRow(source=source, as_of_ms=as_of_ms, fetched_at_ms=as_of_ms, rates=RATES)
    async with market.database.connection() as db:
        await db.execute("DELETE FROM exchange_rates")
        await write_rates(db, row)


async def ask(market: Market, user, amount=10_000, sell="EUR", buy="USD"):
    sold = {"amount": amount, "currency": sell}
    return await market.call("payments.quote_exchange", user, sell=sold, buy_currency=buy, key=str(new_id()))


async def take(market: Market, user, quote):
    return await market.call("payments.exchange", user, quote_id=quote["id"], key=str(new_id()))


async def rich_user(market: Market, amount=100_000):
    user = await market.new_user()
    await book(market.database, [top_up(user.id, amount)])
    return user


async def wallets(market: Market, user) -> dict[str, int]:
    items = (await market.call("payments.list_wallets", user))["items"]
    return {item["currency"]: item["available"] for item in items}


async def test_a_quote_is_what_the_exchange_books_with_the_spread_as_its_own_entry(market, pool):
    ann = await rich_user(market)
    quote = await ask(market, ann)
    assert quote["buy"] == {"amount": 12_375, "currency": "USD"}
    assert quote["spread"] == {"amount": 125, "currency": "USD"}
    assert (quote["rate"], quote["spread_bp"], quote["test_rates"]) == ("1.25", 100, False)
    assert await wallets(market, ann) == {"EUR": 100_000}  # a quote moves nothing
    done = await take(market, ann, quote)
    assert (done["sold"], done["bought"]) == (quote["sell"], quote["buy"])
    assert await wallets(market, ann) == {"EUR": 90_000, "USD": 12_375}
    entries = (await market.call("payments.list_entries", ann, currency="USD"))["items"]
    assert [(e["reason"], e["amount"]) for e in entries] == [("exchange_spread", -125), ("exchange", 12_500)]
    assert {e["ref"] for e in entries} == {quote["id"]}
    await assert_books_are_right(pool)


async def test_a_quote_is_taken_once_by_its_owner_while_it_stands(market, pool):
    ann, bob = await rich_user(market), await rich_user(market)
    quote = await ask(market, ann)
    with pytest.raises(QuoteNotFound):
        await take(market, bob, quote)
    answers = await asyncio.gather(*(take(market, ann, quote) for _ in range(8)), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {dict: 1, QuoteUsed: 7}
    late = await ask(market, ann)
    await pool.execute("UPDATE exchange_quotes SET expires_at_ms = $1", now_instant())
    with pytest.raises(QuoteExpired):
        await take(market, ann, late)
    assert await wallets(market, ann) == {"EUR": 90_000, "USD": 12_375}


async def test_a_repeated_key_is_one_exchange(market):
    ann = await rich_user(market)
    quote, key = await ask(market, ann), str(new_id())
    first = await market.call("payments.exchange", ann, quote_id=quote["id"], key=key)
    assert await market.call("payments.exchange", ann, quote_id=quote["id"], key=key) == first
    assert await wallets(market, ann) == {"EUR": 90_000, "USD": 12_375}


async def test_what_cannot_be_paid_or_quoted_changes_nothing(market):
    ann = await rich_user(market, 50)
    quote = await ask(market, ann)
    with pytest.raises(InsufficientFunds):
        await take(market, ann, quote)
    with pytest.raises(CurrencyNotExchanged):
        await ask(market, ann, buy="GBP")
    for wrong in ({"buy": "EUR"}, {"buy": "XXX"}, {"sell": "XXX"}):
        with pytest.raises(InvalidInput):
            await ask(market, ann, **wrong)
    assert await wallets(market, ann) == {"EUR": 50}
    await book(market.database, [top_up(ann.id, 10_000)])
    async with market.database.connection() as db:
        await freeze_account(db, available(ann.id, "USD"), frozen=True)
    with pytest.raises(Refusal, match="frozen"):
        await take(market, ann, quote)
    assert (await wallets(market, ann))["EUR"] == 10_050


async def test_the_market_sells_no_more_than_its_limit_however_many_ask_at_once(market, pool):
    admin = replace(await market.new_user(), roles=frozenset({"admin"}))
    terms = {"currency": "JPY", "spread_bp": 0, "stock_floor": -3_000}
    assert await market.call("payments.set_exchange_terms", admin, **terms) == terms
    users = [await rich_user(market) for _ in range(6)]
    zero = {"currency": "EUR", "spread_bp": 0, "stock_floor": None}
    await market.call("payments.set_exchange_terms", admin, **zero)
    quotes = [await ask(market, user, amount=625, buy="JPY") for user in users]  # 1,000 yen each
    answers = await asyncio.gather(
        *(take(market, user, quote) for user, quote in zip(users, quotes, strict=True)),
        return_exceptions=True,
    )
    assert Counter(type(answer) for answer in answers) == {dict: 3, StockExhausted: 3}
    stock = "SELECT sum(balance_minor) FROM accounts WHERE owner_id = $1 AND currency = 'JPY'"
    assert await pool.fetchval(stock, PLATFORM) == -3_000
    await assert_books_are_right(pool)


async def test_old_rates_are_not_traded_by(market):
    ann = await rich_user(market)
    await keep_rates(market, now_instant() - 6 * 86_400_000)
    with pytest.raises(RatesUnavailable):
        await ask(market, ann)
    await keep_rates(market, now_instant(), "development")
    assert (await ask(market, ann))["test_rates"] is True


async def test_rates_are_asked_for_when_they_are_an_hour_old_and_newer_ones_stay(market, pool):
    await keep_rates(market, now_instant() - 3_700_000)
    await pool.execute("DELETE FROM jobs")
    for _ in range(2):
        await market.run_timers("refresh_rates")
    assert await pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'payments.fetch_rates'") >= 1
    async with market.database.connection() as db:
        await write_rates(db, RatesRow(source="ecb", as_of_ms=1, fetched_at_ms=1, rates={}))
        kept = await read_rates(db)
    assert kept is not None
    assert kept.rates == RATES


@dataclass
class Context:
    """What a job is run with."""

    source: RatesSource

    def need(self, _kind):
        return self.source


@asynccontextmanager
async def bank(answer: bytes) -> AsyncIterator[str]:
    """A server that answers every request alike."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/daily.xml"


async def read_from(answer: bytes):
    async with bank(answer) as url, open_rates(url) as source:
        return await fetch_rates(Job(job_id=new_id(), ref=new_id(), attempt=1), Context(source))


async def test_the_banks_file_is_read_within_bounds():
    rates = await read_from(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + FILE.encode())
    assert rates.rates == {"EUR": "1", "USD": "1.0834", "JPY": "162.55"}
    assert rates.as_of_ms == to_instant(datetime(2026, 11, 30, tzinfo=UTC))
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + FILE.encode() + b" " * BYTES_MAX
    for answer in (
        endless,
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + FILE.replace("11-30", "13-40").encode(),
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
        + gzip.compress(FILE.encode()),
        b"",
    ):
        assert await read_from(answer) is None, answer[:60]


async def test_a_source_that_is_away_is_no_error_of_the_job():
    async with open_rates("http://127.0.0.1:1/") as source:
        assert await fetch_rates(Job(job_id=new_id(), ref=new_id(), attempt=1), Context(source)) is None
    async with open_rates("") as source:
        rates = await fetch_rates(Job(job_id=new_id(), ref=new_id(), attempt=1), Context(source))
    assert rates.source == "development"
    async with open_rates("", is_public=True) as source:  # nobody trades real money by invented rates
        assert await fetch_rates(Job(job_id=new_id(), ref=new_id(), attempt=1), Context(source)) is None


def test_entities_are_text_and_expand_to_nothing():
    bomb = '<!DOCTYPE x [<!ENTITY a "9999999999">]>' + FILE.replace("1.0834", "&a;")
    assert "USD" not in parse_ecb(bomb.encode()).rates
