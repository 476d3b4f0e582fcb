"""Money on a running system: statements as files, and the treasury as operators and metrics see it."""

import asyncio
import re
from uuid import UUID

import asyncpg
import pytest

from load.benchmarks.programs import System as RunningSystem
from protocols.values import now_instant, to_timestamp
from tests.support.money import give_money
from tests.support.players import Player, sign_up


@pytest.fixture
def dsn(shared_system) -> str:
    return RunningSystem(shared_system.home, shared_system.base_url).postgres_dsn()


@pytest.fixture
def statement() -> str:
    now_ms = now_instant()
    return (
        f"/v1/wallets/EUR/statement?from={to_timestamp(now_ms - 60_000)}&to={to_timestamp(now_ms + 60_000)}"
    )


async def rich(http, dsn) -> Player:
    player = await sign_up(http, "rich")
    await give_money(dsn, UUID(player.user_id))
    return player


async def test_a_statement_is_a_page_a_streamed_csv_or_a_pdf(shared_http, dsn, statement):
    player = await rich(shared_http, dsn)
    page = (await player.get(statement)).json()
    assert (page["opening"], page["closing"], page["entries"]) == (0, 1_500, 2)
    table = await player.get(f"{statement}&format=csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert re.fullmatch(
        r'attachment; filename="statement-EUR-[\d-]{21}\.csv"', table.headers["content-disposition"]
    )
    assert table.headers["transfer-encoding"] == "chunked"
    assert [line.split(",")[3] for line in table.text.splitlines()] == ["amount", "", "10.00", "5.00", ""]
    pages = await player.get(f"{statement}&format=pdf")
    assert (pages.headers["content-type"], pages.content[:5]) == ("application/pdf", b"%PDF-")
    for form in ("csv", "pdf"):
        head = await shared_http.head(f"{statement}&format={form}", headers=player.headers)
        assert (head.status_code, head.content) == (200, b"")
    refused = await player.get(f"{statement}&format=xls")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/format")
    assert (await shared_http.get(f"{statement}&format=csv")).status_code == 401


async def test_the_worker_checks_the_books_and_metrics_show_it(shared_http, dsn):
    await rich(shared_http, dsn)
    db = await asyncpg.connect(dsn)
    wanted = "SELECT count(*) FROM events WHERE stream = 'treasury'"
    while not await db.fetchval(wanted):
        await asyncio.sleep(0.1)
    await db.close()
    shown = ""
    while 'mnbara_treasury_trial_balance_minor{currency="EUR"} 0.0' not in shown:
        await asyncio.sleep(0.1)
        shown = (await shared_http.get("/metrics")).text
    assert "mnbara_treasury_faulty_accounts 0.0" in shown
