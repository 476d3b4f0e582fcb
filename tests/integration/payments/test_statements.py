"""Statements: what belongs to a time, the balances around it, pages, and files."""

import csv
import io
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from handlers import payments
from handlers.contract import Preparation
from handlers.payments.statements import files
from handlers.payments.statements.files import make_file
from protocols.errors import InvalidInput, TemporarilyUnavailable
from protocols.payments.statements import GetStatement, StatementTooLong
from protocols.values import to_timestamp
from server.commands.decoding import StructDecoder
from storage.payments.posting_rules import available
from tests.support.domains import Market, open_market
from tests.support.money import EXTERNAL, book, top_up, transfer

DAY_MS = 86_400_000
BEGIN_MS = 1_790_000_000_000


def time_of(from_ms: int, until_ms: int) -> dict[str, str]:
    return {"from": to_timestamp(from_ms), "to": to_timestamp(until_ms)}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_market((payments.DOMAIN,), database, redis) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ann(market):
    """Somebody with a movement every hour for two days: ten in, four out, by turns."""
    user = await market.new_user()
    for hour in range(48):
        came = [top_up(user.id, 10)]
        went = [transfer(available(user.id, "EUR"), EXTERNAL, 4, "payout")]
        await book(market.database, went if hour % 2 else came, now_ms=BEGIN_MS + hour * 3_600_000)
    return user


async def file_of(market: Market, caller, form: str, from_ms: int, until_ms: int, currency="EUR"):
    words = {"currency": currency, "format": form, **time_of(from_ms, until_ms)}
    command = StructDecoder(GetStatement).convert(words, strict=False)
    return await make_file(command, caller, Preparation(market.database.connection, None))


async def content_of(file) -> bytes:
    if isinstance(file.content, bytes):
        return file.content
    return b"".join([piece async for piece in file.content])


async def read_all(market: Market, caller, limit: int, **time: str) -> tuple[dict, list[dict]]:
    items, cursor, page = [], "", {}
    while cursor is not None:
        page = await market.call(
            "payments.get_statement", caller, currency="EUR", limit=limit, cursor=cursor, **time
        )
        items += page["items"]
        cursor = page["next_cursor"]
    return page, items


@pytest.mark.parametrize("cut_h", [0, 1, 17, 47, 48])
async def test_two_times_that_meet_share_nothing_and_miss_nothing(market, ann, cut_h):
    cut_ms = BEGIN_MS + cut_h * 3_600_000
    before, first = await read_all(market, ann, 7, **time_of(BEGIN_MS - DAY_MS, cut_ms))
    after, second = await read_all(market, ann, 100, **time_of(cut_ms, BEGIN_MS + 3 * DAY_MS))
    assert [entry["number"] for entry in first + second] == list(range(1, 49))
    assert len(first) == before["entries"] == cut_h
    assert (before["opening"], after["closing"]) == (0, 24 * 6)
    assert before["closing"] == after["opening"]
    assert (before["time_zone"], before["from"]) == ("UTC", to_timestamp(BEGIN_MS - DAY_MS))


async def test_the_running_balance_goes_from_the_opening_to_the_closing_one(market, ann):
    page, items = await read_all(market, ann, 9, **time_of(BEGIN_MS + 5_400_000, BEGIN_MS + 30 * 3_600_000))
    balance = page["opening"]
    for entry in items:
        balance += entry["amount"]
        assert entry["balance"] == balance
    assert balance == page["closing"]


async def test_entries_booked_beside_one_another_belong_to_one_side_each(market):
    user = await market.new_user()
    for shift_ms in (0, 40, 20, 60, 55, 100, 90):  # the later number has the earlier instant here and there
        await book(market.database, [top_up(user.id, 1)], now_ms=BEGIN_MS + shift_ms)
    for cut_ms in range(BEGIN_MS - 5, BEGIN_MS + 110, 5):
        _, first = await read_all(market, user, 100, **time_of(BEGIN_MS - DAY_MS, cut_ms))
        _, second = await read_all(market, user, 100, **time_of(cut_ms, BEGIN_MS + DAY_MS))
        assert [entry["number"] for entry in first + second] == list(range(1, 8))


async def test_a_wallet_without_movements_has_an_empty_statement(market):
    page, items = await read_all(market, await market.new_user(), 10, **time_of(BEGIN_MS, BEGIN_MS + DAY_MS))
    assert (page["opening"], page["closing"], page["entries"], items) == (0, 0, 0, [])


@pytest.mark.parametrize("wrong", [{"currency": "XXX"}, {"cursor": "!"}, {"format": "csv"}])
async def test_what_cannot_be_answered_is_refused(market, ann, wrong):
    asked = {"currency": "EUR", **time_of(BEGIN_MS, BEGIN_MS + DAY_MS), **wrong}
    with pytest.raises(InvalidInput):
        await market.call("payments.get_statement", ann, **asked)


async def test_csv_has_every_movement_between_two_balances_whatever_the_pieces(market, ann, monkeypatch):
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 7)
    file = await file_of(market, ann, "csv", BEGIN_MS + 3_600_000, BEGIN_MS + 3 * DAY_MS)
    text = (await content_of(file)).decode()
    assert text.count("\r\n") == text.count("\n") == 1 + 47 + 2
    opening, *rows, closing = csv.DictReader(io.StringIO(text, newline=""))
    assert (opening["reason"], opening["balance"]) == ("opening_balance", "0.10")
    assert (closing["reason"], closing["balance"]) == ("closing_balance", "1.44")
    assert [row["amount"] for row in rows[:2]] == ["-0.04", "0.10"]
    assert [int(row["number"]) for row in rows] == list(range(2, 49))
    assert rows[0]["at_utc"] == to_timestamp(BEGIN_MS + 3_600_000)
    assert file.name == "statement-EUR-2026-09-21-2026-09-24.csv"


async def test_pdf_is_made_and_bounded(market, ann, monkeypatch):
    file = await file_of(market, ann, "pdf", BEGIN_MS, BEGIN_MS + 3 * DAY_MS)
    content = await content_of(file)
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/Count 2" in content  # 50 lines are two pages
    monkeypatch.setattr(files, "PDF_ENTRIES_MAX", 47)
    with pytest.raises(StatementTooLong):
        await file_of(market, ann, "pdf", BEGIN_MS, BEGIN_MS + 3 * DAY_MS)
    monkeypatch.setattr(files, "PDFS_AT_ONCE_MAX", 0)
    with pytest.raises(TemporarilyUnavailable):
        await file_of(market, ann, "pdf", BEGIN_MS, BEGIN_MS + DAY_MS)
