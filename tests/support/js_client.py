"""The official JavaScript SDK in a Node process, driven line by line (`tests/js/client.mjs`)."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.system import ROOT

FOLDER = ROOT / "tests" / "js"
NOWHERE = "127.0.0.1:1"
"""Where nothing listens: an endpoint there stands for a transport that a network blocks."""


def need_node() -> None:
    """Skip the test when Node or the SDK is not installed."""
    if shutil.which("node") is None or not (FOLDER / "node_modules" / "centrifuge").is_dir():
        pytest.skip("node or its packages are not here (npm install in tests/js)")


class JsClient:
    """One SDK connection."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []
        self._at = 0

    def do(self, name: str, **facts: Any) -> None:
        """Tell the client to do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": name, **facts}).encode() + b"\n")

    async def read(self) -> None:
        """Keep every event until the client ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.events.append(json.loads(line))

    async def until(self, event: str, timeout_s: float = 15) -> dict[str, Any]:
        """Return the next event of that name, skipping others."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    while self._at < len(self.events):
                        self._at += 1
                        if self.events[self._at - 1]["event"] == event:
                            return self.events[self._at - 1]
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"no {event} came: {self.events}") from None

    async def rpc(self, method: str, **data: Any) -> dict[str, Any]:
        """Return the event `answer` or `refused` of an RPC."""
        self.do("rpc", method=method, data=data)
        async with asyncio.timeout(15):
            while True:
                for position in range(self._at, len(self.events)):
                    if self.events[position]["event"] in {"answer", "refused"}:
                        return self.events.pop(position)
                await asyncio.sleep(0.01)

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return every event of that name so far."""
        return [one for one in self.events if one["event"] == event]


@contextlib.asynccontextmanager
async def js_client(
    base_url: str,
    blocked: tuple[str, ...] = (),
    emulation: str = "",
    token: str = "",
    *,
    protobuf: bool = False,
) -> AsyncIterator[JsClient]:
    """Connect by the first transport of websocket, http_stream and sse that is not blocked."""
    need_node()
    host = base_url.removeprefix("http://")
    transports = [
        {
            "transport": name,
            "endpoint": f"{'ws' if name == 'websocket' else 'http'}://"
            f"{NOWHERE if name in blocked else host}/connection/{name}",
        }
        for name in ("websocket", "http_stream", "sse")
    ]
    options = {
        "transports": transports,
        "emulation": (emulation or base_url) + "/emulation",
        "token": token,
        "protobuf": protobuf,
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        "client.mjs",
        json.dumps(options),
        cwd=FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    client = JsClient(process)
    reading = asyncio.create_task(client.read())
    try:
        client.do("connect")
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 3)
        if process.returncode is None:
            process.kill()
            await process.wait()
        await reading
