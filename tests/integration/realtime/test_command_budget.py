"""Commands of one connection cost units: a keen client never notices, one that floods is refused, then sent away."""

import asyncio
import json

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from protocols.budgets import Rule
from realtime.connection.connection import Connection
from realtime.limits import COMMANDS_RULE, REFUSALS_RULE, Limits
from tests.acceptance.test_realtime_protocol import Talker
from tests.support.realtime_app import running_app

FEW = Rule("commands", count=20, period_s=1, burst=19)
"""20 at once, 20 a second."""


@pytest_asyncio.fixture
async def app():
    async with running_app(Limits(commands=FEW, refusals=Rule("refusals", 1, 1, 29))) as app:
        yield app


async def arrive(app, **options):
    talker = Talker(await connect(app.url, compression=None, **options))
    assert "connect" in await talker.ask(1, connect={})
    return talker


def codes(answers):
    return [answer.get("error", {}).get("code", 0) for answer in answers]


def only_member(app) -> Connection:
    (member,) = app.hub.connections
    return member


async def test_first_frame_and_reconnect_with_every_recovery_fit_the_default_budget():
    async with running_app() as app:
        for channel in range(128):
            app.commit(f"auctions:{channel}", "1", "2")
        for options in ({}, {"recover": True, "offset": 1, "epoch": "e1"}):
            async with connect(app.url, compression=None, max_size=None) as ws:
                talker = Talker(ws)
                subscribes = [
                    {"id": n + 2, "subscribe": {"channel": f"auctions:{n}", **options}} for n in range(128)
                ]
                await talker.send({"id": 1, "connect": {}}, *subscribes)
                answers = [await talker.next() for _ in range(129)]
                assert codes(answers) == [0] * 129
                assert all(answer["subscribe"].get("recovered") for answer in answers[1:] if options)
                more = [{"id": 200 + n, "unsubscribe": {"channel": f"auctions:{n}"}} for n in range(128)]
                await talker.send(*more)
                assert codes([await talker.next() for _ in range(128)]) == [0] * 128


@pytest.mark.parametrize(
    ("request_", "cost"),
    [
        ({"subscribe": {"channel": "auctions:1"}}, 1),
        ({"subscribe": {"channel": "auctions:1", "recover": True}}, 2),
        ({"unsubscribe": {"channel": "auctions:1"}}, 1),
        ({"history": {"channel": "auctions:1"}}, 4),
        ({"presence": {"channel": "rooms:1"}}, 4),
        ({"presence_stats": {"channel": "rooms:1"}}, 1),
        ({"publish": {"channel": "rooms:1", "data": 1}}, 2),
        ({"sub_refresh": {"channel": "rooms:1", "token": ""}}, 2),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else str(value),
)
async def test_command_takes_its_cost_and_over_it_is_refused_for_a_while(app, request_, cost):
    talker = await arrive(app)  # takes 4
    count = 16 // cost
    await talker.send(*({"id": 2 + n, **request_} for n in range(count + 2)))
    answers = codes([await talker.next() for _ in range(count + 2)])
    assert answers[: count - 1].count(111) == 0
    assert answers[-1] == 111
    await asyncio.sleep(cost / 20 + 0.05)
    answer = await talker.ask(100, **request_)
    assert answer.get("error", {}).get("code", 0) != 111
    await talker.ws.close()


async def test_refusal_is_temporary_and_changes_nothing(app):
    talker = await arrive(app)
    await talker.send(*({"id": 2 + n, "subscribe": {"channel": f"auctions:{n}"}} for n in range(20)))
    answers = [await talker.next() for _ in range(20)]
    refused = [answer["error"] for answer in answers if "error" in answer]
    assert refused
    assert all(error == {"code": 111, "message": "too many requests", "temporary": True} for error in refused)
    assert len(only_member(app).channels) == 20 - len(refused)
    await talker.ws.close()


async def test_client_that_goes_on_flooding_is_sent_away_to_come_back_later(app):
    talker = await arrive(app)
    await talker.send(*({"id": 2 + n, "history": {"channel": "auctions:1"}} for n in range(100)))
    answers = [await talker.next() for _ in range(4 + 29)]
    assert codes(answers) == [0] * 4 + [111] * 29
    assert await talker.goodbye() == 3013


@pytest.mark.parametrize("method", ["no.such", "busy", "busy.reply"])
async def test_calls_that_are_refused_for_ever_end_the_connection_too(app, method):
    talker = await arrive(app)
    for n in range(2, 102):
        await talker.send({"id": n, "rpc": {"method": method, "data": {}}})
    assert await talker.goodbye() == 3013


async def test_refusals_of_the_application_are_answers_like_any_other(app):
    talker = await arrive(app)
    for n in range(2, 202):
        await talker.send({"id": n, "rpc": {"method": "refuse", "data": {}}})
    assert codes([await talker.next() for _ in range(200)]) == [602] * 200
    await talker.ws.close()


async def test_pongs_that_answer_no_ping_are_counted(app):
    talker = await arrive(app)
    for _ in range(25):
        await talker.send({})
    assert "rpc" in await talker.ask(9, rpc={"method": "echo", "data": 1})
    for _ in range(25):
        await talker.send({})
    assert await talker.goodbye() == 3013


async def test_budgets_are_each_connections_own(app):
    one, two = await arrive(app), await arrive(app)
    await one.send(*({"id": 2 + n, "history": {"channel": "auctions:1"}} for n in range(20)))
    assert 111 in codes([await one.next() for _ in range(20)])
    assert "history" in await two.ask(2, history={"channel": "auctions:1"})
    for talker in (one, two):
        await talker.ws.close()


async def test_without_rules_a_connection_sends_as_fast_as_it_can():
    async with running_app(Limits(commands=None, refusals=None)) as app:
        talker = await arrive(app)
        for start in range(0, 2_000, 200):
            commands = [{"id": 2 + start + n, "unsubscribe": {"channel": "auctions:1"}} for n in range(200)]
            await talker.ws.send("\n".join(json.dumps(command) for command in commands))
            assert codes([await talker.next() for _ in range(200)]) == [0] * 200
        await talker.ws.close()


def test_default_budgets_fit_what_clients_do():
    reconnect = 4 + 128 * 2
    assert COMMANDS_RULE.limit >= 2 * reconnect
    assert REFUSALS_RULE.limit >= Limits().commands_per_frame_max
