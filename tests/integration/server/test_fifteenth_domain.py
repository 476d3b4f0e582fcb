"""A domain is one value: the domain of `docs/extending.md`, added to the tuple, is served like any other."""

import asyncio
import contextlib
import dataclasses
import importlib
import inspect
import json
import runpy
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from handlers import listings
from handlers.settings import Settings
from protocols.values import new_id, now_instant
from realtime.transport.websocket import LeanWebSocket
from server.domains import DOMAINS, routes_of
from server.http.protocol import BoundedHttp
from server.wiring import open_server
from server.worker.retention import delete_all
from server.worker_wiring import WorkerProcess, open_worker
from storage.engines.tasks import end_tasks
from storage.platform.migrate import migrate
from tests.support import permission_matrix
from tests.support.domains import open_market
from tests.support.guide_files import imported_domain, shown_files, write_files

TIMEOUT_S = 60
"""How long a state is waited for: far longer than it takes on a machine that others use."""


@pytest.fixture(scope="module")
def guide(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("guide")
    write_files(folder, shown_files())
    return folder


@pytest.fixture(scope="module")
def parcels(guide):
    with imported_domain(guide, "parcels") as domain:
        yield domain


@pytest.fixture(scope="module")
def domains(parcels):
    return (*DOMAINS, parcels.DOMAIN)


@dataclasses.dataclass
class Person:
    """A user over both ways in."""

    http: httpx.AsyncClient
    socket: ClientConnection
    pushed: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    asked: int = 0

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Return the reply of a realtime command; publications in between are kept in `pushed`."""
        self.asked += 1
        await self.socket.send(json.dumps({"id": self.asked, **command}))
        while (reply := await self._read()).get("id") != self.asked:
            pass
        return reply

    async def follow(self, parcel_id: str, epoch: str) -> None:
        """Follow a parcel from its second event on, also when that has come already."""
        position = {"recover": True, "epoch": epoch, "offset": 1}
        reply = await self.ask(subscribe={"channel": f"parcels:{parcel_id}", **position})
        self.pushed = [*reply["subscribe"].get("publications", ()), *self.pushed]

    async def events(self, count: int) -> list[str]:
        """Return the types of the first publications, once there are so many."""
        while len(self.pushed) < count:
            await self._read()
        return [publication["data"]["type"] for publication in self.pushed]

    async def _read(self) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_S):
            reply: dict[str, Any] = json.loads(await self.socket.recv())
        if (publication := reply.get("push", {}).get("pub")) is not None:
            self.pushed.append(publication)
        return reply

    async def store_parcel(self) -> str:
        """Store a parcel over REST; return its id."""
        answer = await self.http.post(
            "/v1/parcels", json={"place": "Kiosk"}, headers={"Idempotency-Key": str(new_id())}
        )
        assert answer.status_code == 201, answer.text
        parcel_id: str = answer.json()["id"]
        return parcel_id


@pytest.fixture(scope="module")
def settings(database, redis_url, nats_url, tmp_path_factory) -> Settings:
    return Settings(
        postgres_url=database,
        redis_url=redis_url,
        nats_url=nats_url,
        secrets=str(tmp_path_factory.mktemp("secrets")),
        rate_limits=False,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(settings, domains, guide) -> AsyncIterator[str]:
    """Where a server process of fifteen domains answers."""
    await migrate(settings.postgres_url, guide / "storage" / "migrations")
    async with open_server(settings, domains) as process:
        config = uvicorn.Config(
            process.app,
            port=0,
            ws=LeanWebSocket,
            http=BoundedHttp,
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def signed_in(url: str) -> AsyncIterator[Person]:
    async with (
        httpx.AsyncClient(base_url=f"http://{url}", timeout=TIMEOUT_S) as http,
        connect(f"ws://{url}/connection/websocket", compression=None) as socket,
    ):
        body = {"email": f"{new_id()}@example.org", "password": "correct horse 7", "display_name": "Amina"}
        answer = await http.post("/v1/auth/register", json=body)
        token = answer.json()["tokens"]["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        person = Person(http, socket)
        assert "connect" in await person.ask(connect={"token": token})
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def amina(url) -> AsyncIterator[Person]:
    async with signed_in(url) as person:
        yield person


@contextlib.asynccontextmanager
async def running(*loops: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(loop()) for loop in loops]
    try:
        yield
    finally:
        await end_tasks(tasks)


@pytest_asyncio.fixture(loop_scope="module")
async def worker(settings, domains, url) -> AsyncIterator[WorkerProcess]:
    async with open_worker(settings, domains) as process:
        yield process


# -- what follows from the value ---------------------------------------------------------------------------------


async def test_routes_answer_over_rest_and_rpc(amina):
    parcel_id = await amina.store_parcel()
    over_rest = (await amina.http.get(f"/v1/parcels/{parcel_id}")).json()
    over_rpc = await amina.ask(rpc={"method": "parcels.get_parcel", "data": {"parcel_id": parcel_id}})
    assert over_rest == over_rpc["rpc"]["data"]
    assert (over_rest["place"], over_rest["status"]) == ("Kiosk", "stored")
    stored = await amina.ask(
        rpc={"method": "parcels.store_parcel", "data": {"place": "Bakery", "key": str(new_id())}}
    )
    assert stored["rpc"]["data"]["place"] == "Bakery"


async def test_refusals_of_the_domain_are_told_and_strangers_see_nothing(amina, url):
    parcel_id = await amina.store_parcel()
    async with signed_in(url) as stranger:
        answer = await stranger.http.get(f"/v1/parcels/{parcel_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "parcel_not_found")
        refused = await stranger.ask(subscribe={"channel": f"parcels:{parcel_id}"})
        assert refused["error"]["code"] == 102  # no such channel, for them
    assert (await amina.http.post("/v1/parcels", json={"place": "Kiosk"})).json()["code"] == "key_required"


async def test_channel_is_followed_from_its_first_event(amina):
    parcel_id = await amina.store_parcel()
    followed = await amina.ask(subscribe={"channel": f"parcels:{parcel_id}"})
    assert followed["subscribe"]["recoverable"] is True
    read = (await amina.http.get(f"/v1/channels/parcels:{parcel_id}/events")).json()
    assert "parcel_stored" in json.dumps(read)


async def test_timer_runs_and_its_event_reaches_the_follower(amina, worker, parcels, monkeypatch):
    monkeypatch.setattr(importlib.import_module("handlers.parcels.store_parcel"), "KEPT_MS", 300)
    async with running(worker.timers.run):
        parcel_id = await amina.store_parcel()
        await amina.follow(parcel_id, worker.base.epoch)
        assert (await amina.events(1))[0] == "parcel_returned"
    assert (await amina.http.get(f"/v1/parcels/{parcel_id}")).json()["status"] == "returned"


async def test_retention_of_the_domain_deletes_its_old_rows(amina, worker, parcels, pool):
    parcel_id = await amina.store_parcel()
    await pool.execute("UPDATE parcels SET status = 'returned', kept_until_ms = 1")
    retention, _ = parcels.DOMAIN.retention
    await delete_all(worker.base.database, retention.delete, now_instant() - retention.kept_ms, 10)
    assert (await amina.http.get(f"/v1/parcels/{parcel_id}")).status_code == 404


async def test_documents_show_its_routes_events_and_refusals(amina):
    openapi = (await amina.http.get("/schema/openapi.json")).json()
    assert openapi["paths"]["/v1/parcels"]["post"]["operationId"] == "parcels.store_parcel"
    assert openapi["paths"]["/v1/parcels/{parcel_id}"]["get"]["operationId"] == "parcels.get_parcel"
    asyncapi = (await amina.http.get("/schema/asyncapi.json")).json()
    (channel,) = [c for c in asyncapi["channels"].values() if c["address"] == "parcels:{parcel_id}"]
    assert {"parcel_stored", "parcel_returned", "carrier_booked"} <= set(channel["messages"])
    assert "seller_listed" in asyncapi["channels"]["personal"]["messages"]
    assert "parcel_not_found" in (await amina.http.get("/v1/errors")).text


def test_the_matrix_of_permissions_gets_its_cells(domains):
    routes = {route.name: route for route in routes_of(domains)}
    store, get = routes["parcels.store_parcel"], routes["parcels.get_parcel"]
    assert permission_matrix.expected(store, "anonymous") == "unauthenticated"
    assert {
        permission_matrix.expected(store, who) for who in permission_matrix.PEOPLE if who != "anonymous"
    } == {"in"}
    assert permission_matrix.expected(store, "banned") == "unauthenticated"
    assert permission_matrix.fields_with_ids(get, {}) == [
        "parcel_id"
    ]  # somebody has to decide whom a parcel lets in


async def test_reaction_and_job_follow_the_timer(amina, worker, parcels, monkeypatch):
    monkeypatch.setattr(importlib.import_module("handlers.parcels.store_parcel"), "KEPT_MS", 300)
    booked: list[str] = []

    async def book(parcel_id, key):
        booked.append(str(parcel_id))
        return "C-17"

    carrier = importlib.import_module("storage.parcels.carrier_http").Carrier
    monkeypatch.setattr(worker.base.need(carrier), "book", book)
    async with running(worker.timers.run, worker.reactions.dispatcher.run, worker.jobs.dispatcher.run):
        parcel_id = await amina.store_parcel()
        await amina.follow(parcel_id, worker.base.epoch)
        assert await amina.events(2) == ["parcel_returned", "carrier_booked"]
    assert booked.count(parcel_id) == 1


async def test_the_tests_of_the_guide_pass(guide, url, database, redis, monkeypatch):
    shown = runpy.run_path(str(guide / "tests/integration/parcels/test_parcels.py"))
    tests = [function for name, function in shown.items() if name.startswith("test_")]
    assert len(tests) == 4
    async with open_market((listings.DOMAIN, shown["parcels"].DOMAIN), database, redis) as market:
        for test in tests:
            with monkeypatch.context() as patch:
                needs = {"market": market, "monkeypatch": patch}
                await test(**{name: needs[name] for name in inspect.signature(test).parameters})


# -- the guide itself ---------------------------------------------------------------------------------------------


def test_the_guide_is_written_as_our_code_is(guide):
    ruff = str(Path(sys.executable).parent / "ruff")
    ours = 'lint.isort.known-first-party=["handlers", "protocols", "storage", "tests"]'
    ignored = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["ruff"]["lint"]["per-file-ignores"]
    in_tests = f'lint.per-file-ignores={{"{guide}/tests/**" = {ignored["tests/**"]}}}'
    settings = ["--config", "pyproject.toml", "--config", ours, "--config", in_tests, "--no-cache"]
    for command in (["check", *settings], ["format", "--check", *settings]):
        told = subprocess.run(
            [ruff, *command, str(guide)], check=False, capture_output=True, text=True, cwd=Path.cwd()
        )
        assert told.returncode == 0, told.stdout + told.stderr
