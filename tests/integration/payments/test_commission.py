"""Versions of the commission rules: who may set them, which one holds, and what a deal is quoted."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from protocols.errors import InvalidInput, NotAllowed
from protocols.payments.deals import Deal, DealLine
from protocols.values import new_id, now_instant, to_timestamp
from server.domains import DOMAINS
from storage.payments.commission import quote_commission
from tests.support.domains import Market, open_market

DAY_MS = 86_400_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_market(DOMAINS, database, redis) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def operator(market):
    return replace(await market.new_user(), roles=frozenset({"user", "finance"}))


async def set_rules(market, operator, *rules, **fields):
    fields = {"key": str(new_id()), "rules": list(rules)} | fields
    return await market.call("payments.set_commission", operator, **fields)


async def quote(market, at_ms=None):
    deal = Deal(
        kind="auction",
        currency="EUR",
        lines=(DealLine(amount_minor=10_000, categories=("bags", "fashion")),),
        country="DE",
    )
    async with market.database.connection() as db:
        return await quote_commission(db, deal, at_ms or now_instant())


async def test_without_rules_nothing_is_kept_and_each_version_holds_from_its_start(market, operator):
    before = await quote(market)
    assert (before.version, before.fee_minor, before.net_minor) == (0, 0, 10_000)
    tax = {"country": "DE", "basis_points": 1_900}
    first = await set_rules(market, operator, {"basis_points": 500}, taxes=[tax])
    later = to_timestamp(now_instant() + DAY_MS)
    second = await set_rules(market, operator, {"basis_points": 700}, effective_from=later)
    assert (first["version"], second["version"], second["set_by"]) == (1, 2, str(operator.id))
    now, then = await quote(market), await quote(market, now_instant() + 2 * DAY_MS)
    assert (now.version, now.fee_minor, now.tax_minor) == (1, 500, 95)
    assert (then.version, then.fee_minor, then.tax_minor) == (2, 700, 0)
    third = await set_rules(market, operator, {"basis_points": 600, "categories": ["fashion"]})
    assert (await quote(market)).version == third["version"]
    assert (await quote(market, now_instant() + 2 * DAY_MS)).version == 2
    listed = await market.call("payments.list_commission_versions", operator, limit=2)
    assert (listed["current"], [one["version"] for one in listed["items"]]) == (3, [3, 2])
    rest = await market.call(
        "payments.list_commission_versions", operator, limit=2, cursor=listed["next_cursor"]
    )
    assert (rest["items"], rest["next_cursor"]) == ([first], None)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"rules": [{"categories": ["nowhere"]}]}, "/rules/0/categories/0"),
        ({"rules": [{}, {"currencies": ["EUR", "XAU"]}]}, "/rules/1/currencies/1"),
        ({"rules": [{"amounts": [{"currency": "XAU"}]}]}, "/rules/0/amounts/0/currency"),
        ({"rules": [{"amounts": [{"currency": "EUR"}] * 2}]}, "/rules/0/amounts/1/currency"),
        (
            {"rules": [{"currencies": ["USD"], "amounts": [{"currency": "EUR"}]}]},
            "/rules/0/amounts/0/currency",
        ),
        (
            {"rules": [{"amounts": [{"currency": "EUR", "minimum": 9, "maximum": 8}]}]},
            "/rules/0/amounts/0/maximum",
        ),
        ({"rules": [{"amounts": [{"currency": "EUR", "minimum": 9, "cap": 8}]}]}, "/rules/0/amounts/0/cap"),
        ({"rules": [], "taxes": [{"country": "QQ", "basis_points": 1}]}, "/taxes/0/country"),
        ({"rules": [], "taxes": [{"country": "DE", "basis_points": 1}] * 2}, "/taxes/1/country"),
        ({"rules": [], "effective_from": "2020-01-01T00:00:00Z"}, "/effective_from"),
        ({"rules": [], "effective_from": "9999-12-31T23:59:59-14:00"}, "/effective_from"),
        ({"rules": [{"basis_points": 10_001}]}, "/rules/0/basis_points"),
        ({"rules": [{"seller_levels": ["trusted\n"]}]}, "/rules/0/seller_levels/0"),
    ],
)
async def test_rules_that_make_no_sense_are_refused_and_change_nothing(market, operator, fields, pointer):
    before = await market.call("payments.list_commission_versions", operator)
    with pytest.raises(InvalidInput) as refused:
        await set_rules(market, operator, **fields)
    assert [error["pointer"] for error in refused.value.facts["errors"]] == [pointer]
    assert await market.call("payments.list_commission_versions", operator) == before


async def test_only_operators_see_and_set_the_rules_and_nobody_changes_a_version(market, operator, pool):
    ann = await market.new_user()
    with pytest.raises(NotAllowed):
        await set_rules(market, ann)
    with pytest.raises(NotAllowed):
        await market.call("payments.list_commission_versions", ann)
    await set_rules(market, operator)
    with pytest.raises(asyncpg.RaiseError, match="never changed"):
        await pool.execute("UPDATE commission_versions SET rules = '[]'")


async def test_a_repeated_key_makes_one_version(market, operator):
    key = str(new_id())
    first = await set_rules(market, operator, {"basis_points": 1}, key=key)
    assert await set_rules(market, operator, {"basis_points": 1}, key=key) == first
    newest = (await market.call("payments.list_commission_versions", operator, limit=1))["items"][0]
    assert newest["version"] == first["version"]
