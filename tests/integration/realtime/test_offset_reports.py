"""Clients say how far they have processed a channel: never backward, gathered, gone with the subscription."""

import asyncio

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from realtime.limits import Limits
from realtime.presence import offset_reports as reports
from tests.acceptance.test_realtime_protocol import Talker
from tests.support.realtime_app import running_app
from tests.support.waiting import until

CHANNEL = "auctions:1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(reports, "GATHER_S", 0.05)


@pytest_asyncio.fixture
async def app():
    async with running_app(Limits(presence_repeat_s=0.2)) as app:
        app.commit(CHANNEL, *["{}"] * 5)
        yield app


class Reader(Talker):
    commands = 1

    async def call(self, **request):
        self.commands += 1
        return await self.ask(self.commands, **request)

    async def report(self, offset, channel=CHANNEL):
        data = {"channel": channel, "offset": offset}
        return await self.call(rpc={"method": "realtime.report_offset", "data": data})


async def arrive(app, who="amina:s1"):
    reader = Reader(await connect(app.url, compression=None))
    answer = await reader.ask(1, connect={"token": who})
    await reader.call(subscribe={"channel": CHANNEL})
    return reader, answer["connect"]["client"]


async def test_newest_report_counts_whatever_order_they_come_in(app):
    reader, client = await arrive(app)
    for offset, counts in ((2, 2), (5, 5), (3, 5), (5, 5)):
        assert (await reader.report(offset))["rpc"]["data"] == {"offset": counts}
    await until(lambda: app.offset_reports.offsets == {(CHANNEL, client): 5})
    assert app.offset_reports.batches[0] == 1, "reports of a moment travel as one"
    await reader.ws.close()


@pytest.mark.parametrize("leave", ["unsubscribe", "close", "abort"])
async def test_entry_goes_with_the_subscription(app, leave):
    reader, client = await arrive(app)
    await reader.report(1)
    await until(lambda: (CHANNEL, client) in app.offset_reports.offsets)
    if leave == "unsubscribe":
        await reader.call(unsubscribe={"channel": CHANNEL})
    elif leave == "close":
        await reader.ws.close()
    else:
        reader.ws.transport.abort()
    await until(lambda: not app.offset_reports.offsets)
    assert not app.hub.offset_reports._here
    await reader.ws.close()


async def test_who_stays_is_repeated_and_an_outage_of_the_store_is_made_good(app):
    reader, client = await arrive(app)
    app.offset_reports.failing = True
    assert "rpc" in await reader.report(4)
    await asyncio.sleep(0.15)
    app.offset_reports.failing = False
    await until(lambda: app.offset_reports.offsets == {(CHANNEL, client): 4})
    app.offset_reports.offsets.clear()  # the store forgot
    await until(lambda: app.offset_reports.offsets == {(CHANNEL, client): 4})
    await reader.ws.close()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"channel": CHANNEL, "offset": 6}, 107),
        ({"channel": CHANNEL, "offset": -1}, 107),
        ({"channel": CHANNEL, "offset": "1"}, 107),
        ({"channel": CHANNEL, "offset": 2**63}, 107),
        ({"channel": CHANNEL}, 107),
        ({}, 107),
        ([], 107),
        ({"channel": "x" * 300, "offset": 1}, 107),
        ({"channel": "auctions:2", "offset": 1}, 103),
        ({"channel": "secret:1", "offset": 1}, 103),
        ({"channel": "ticker:1", "offset": 0}, 107),
    ],
)
async def test_bad_report_is_refused_and_changes_nothing(app, data, code):
    reader, _ = await arrive(app)
    await reader.call(subscribe={"channel": "ticker:1"})
    answer = await reader.call(rpc={"method": "realtime.report_offset", "data": data})
    assert answer["error"]["code"] == code
    assert not app.hub.offset_reports._here
    await reader.ws.close()


async def test_what_names_a_member_twice_is_refused_and_the_connection_stays(app):
    reader, _ = await arrive(app)
    for text in (
        '{"id":8,"rpc":{"method":"realtime.report_offset","data":{"channel":"%s","offset":0,"offset":1}}}',
        '{"id":8,"rpc":{"method":"realtime.report_offset","data":{},"data":{"channel":"%s","offset":1}}}',
        '{"id":8,"subscribe":{"channel":"ticker:1","channel":"%s"}}',
        '{"id":8,"rpc":{"method":"realtime.report_offset","data":{"channel":"%s","offset":1,"offsets":1}}}',
    ):
        await reader.ws.send(text % CHANNEL)
        while (answer := await reader.next()).get("id") != 8:
            pass
        assert answer["error"]["code"] == 107
    assert not app.hub.offset_reports._here
    assert "error" not in await reader.report(1)
    await reader.ws.close()


async def test_report_takes_from_the_connections_budget(app):
    reader, _ = await arrive(app)
    answers = [await reader.report(1) for _ in range(650)]
    assert answers[-1]["error"]["code"] == 111
    await reader.ws.close()


async def test_process_that_leaves_takes_its_clients_back(app):
    reader, client = await arrive(app)
    await reader.report(1)
    await until(lambda: (CHANNEL, client) in app.offset_reports.offsets)
    await app.hub.stop()
    assert not app.offset_reports.offsets
    await reader.ws.close()
