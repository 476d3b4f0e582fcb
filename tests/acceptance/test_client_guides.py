"""The guides of docs/clients work as printed: their pieces, joined, are programs that run against a real system."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.js_client import FOLDER, NOWHERE, need_node
from tests.support.players import Player, open_auction, sign_up
from tests.support.system import ROOT, System, running_system, scratch_home

GO_SDK = "github.com/centrifugal/centrifuge-go@v0.12.1"

TOKEN_S = 4
"""Life of an access token, short enough for the guides' refreshing to be seen."""


@pytest.fixture(scope="module")
def system(engines, database, redis_url) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_ACCESS_TOKEN_S": str(TOKEN_S),
        "MNBARA_DRAIN_S": "1",
    }
    with scratch_home() as home, running_system(home, processes=1, environment=environment) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def auction_id(system) -> str:
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        return (await open_auction(await sign_up(http, "seller")))["id"]


class Program:
    """A guide's program, while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path) -> None:
        self.process, self.out = process, out

    def until(self, *words: str, times: int = 1, seconds: float = 20) -> str:
        """Return what it printed once every word is there, so many times."""
        deadline = time.monotonic() + seconds
        while any(self.out.read_text().count(word) < times for word in words):
            assert time.monotonic() < deadline, f"{words} not in:\n{self.out.read_text()}"
            time.sleep(0.05)
        return self.out.read_text()


def build_go(folder: Path) -> Path:
    """Compile `client.go` with the official SDK; skip where there is no Go or no SDK to be had."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the Go guide needs go on PATH")
    (folder / "go.mod").write_text("module client\n")
    for words in (["get", GO_SDK], ["mod", "tidy"], ["build", "-o", "client", "."]):
        told = subprocess.run(
            [go, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=110
        )
        if told.returncode and words[0] != "build":
            pytest.skip(f"the Go guide needs its SDK: {told.stderr.strip()[-300:]}")
        assert not told.returncode, told.stderr
    return folder / "client"


@pytest.fixture
def run(system, tmp_path) -> Iterator[Callable[..., Program]]:
    started = []

    def start(guide: str, language: str, *words: str, **environment: str) -> Program:
        text = (ROOT / "docs" / "clients" / guide).read_text()
        pieces = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
        assert pieces
        name = {"js": "client.mjs", "python": "client.py", "go": "client.go"}[language]
        (tmp_path / name).write_text("\n".join(pieces))
        command = [sys.executable, name]
        if language == "js":
            need_node()
            (tmp_path / "node_modules").symlink_to((FOLDER / "node_modules").resolve())
            command = [shutil.which("node") or "node", name]
        elif language == "go":
            command = [str(build_go(tmp_path))]
        out = tmp_path / "out"
        facts = {"SERVER_URL": system.base_url, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"}
        with out.open("wb") as file:
            process = subprocess.Popen(
                [*command, *words],
                cwd=tmp_path,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | facts | environment,
            )
        started.append(process)
        return Program(process, out)

    yield start
    for process in started:
        process.kill()
        process.wait()


async def outbid(system: System, auction_id: str, amount: int) -> None:
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        rival: Player = await sign_up(http)
        answer = await rival.post(f"/v1/auctions/{auction_id}/bids", {"amount": amount}, key="one")
        assert answer.status_code == 201, answer.text


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("guide", "language"), [("javascript.md", "js"), ("python.md", "python"), ("go.md", "go")]
)
async def test_a_guide_bids_sees_refusals_refreshes_and_recovers(system, auction_id, run, guide, language):
    program = run(guide, language, auction_id)
    printed = program.until("leading", "bid_too_low", "after event", "event 2 bid_placed")
    assert "refusal " in printed
    await outbid(system, auction_id, 50_000)
    program.until("event 3 bid_placed", "for me: outbid")
    printed = program.until("refreshed")
    assert printed.count("connecting") <= 1  # the first one: a refresh keeps the connection
    system.kill("server-0")
    program.until("subscribed", times=2)
    await outbid(system, auction_id, 90_000)
    printed = program.until("event 4 bid_placed")
    assert re.findall(r"^event (\d+)", printed, re.MULTILINE) == ["2", "3", "4"]


@pytest.mark.parametrize("blocked", [False, True])
async def test_the_fallback_guide_connects_either_way(system, auction_id, run, blocked):
    facts = {"MNBARA_SOCKET": f"ws://{NOWHERE}"} if blocked else {}
    program = run("fallback.md", "js", auction_id, **facts)
    printed = program.until("auction live", "subscribed")
    assert f"connected by {'http_stream' if blocked else 'websocket'}" in printed
    await outbid(system, auction_id, 5_000)
    program.until("event 2 bid_placed")


async def test_the_fallback_guide_works_without_an_sdk(system, auction_id, run):
    program = run("fallback.md", "python", auction_id)
    program.until("subscribed after event 1")
    await outbid(system, auction_id, 5_000)
    program.until("event 2 bid_placed")
