"""A client of the fallback transports in raw HTTP: a stream held open, commands posted beside it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import httpx

JSON = {"Content-Type": "application/json"}


class Stream:
    """Reads one stream message by message; posts commands."""

    def __init__(self, http: httpx.AsyncClient, response: httpx.Response, *, events: bool) -> None:
        self.http, self.response = http, response
        self._lines = response.aiter_lines()
        self._events = events
        self.session = self.node = ""
        self.emulation_url = "/emulation"

    async def next(self, timeout_s: float = 3) -> dict | None:
        """Return the next message, None at the end of the stream."""
        async with asyncio.timeout(timeout_s):
            async for line in self._lines:
                text = line.removeprefix("data: ") if self._events else line
                if text.strip():
                    return json.loads(text)
        return None

    async def connected(self) -> dict:
        """Return the connect reply, and keep what posting needs."""
        reply = await self.next()
        assert reply is not None
        result = reply["connect"]
        self.session, self.node = result["session"], result["node"]
        return result

    async def post(self, *commands: dict, **changes: object) -> httpx.Response:
        """Post commands as one frame; `changes` replace members of the request."""
        data = "\n".join(json.dumps(command) for command in commands)
        body = {"session": self.session, "node": self.node, "data": data, **changes}
        return await self.http.post(self.emulation_url, json=body)

    async def ask(self, command_id: int, **request: object) -> dict:
        """Post one command; return its answer, dropping what comes before."""
        assert (await self.post({"id": command_id, **request})).status_code == 204
        while (message := await self.next()) is not None:
            if message.get("id") == command_id:
                return message
        raise AssertionError("the stream ended")

    async def goodbye(self) -> int:
        """Return the code of the disconnect push that ends the stream."""
        last: dict = {}
        while (message := await self.next()) is not None:
            last = message
        return last["push"]["disconnect"]["code"]


@contextlib.asynccontextmanager
async def open_stream(
    http: httpx.AsyncClient,
    transport: str = "http_stream",
    connect: dict | bytes | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Stream]:
    """Open a stream; `connect` are the fields of the connect request, or the body as it is."""
    body = connect if isinstance(connect, bytes) else json.dumps({"id": 1, "connect": connect or {}}).encode()
    if transport == "sse":
        request = http.build_request(
            "GET", "/connection/sse", params={"cf_connect": body.decode("latin-1")}, headers=headers
        )
    else:
        request = http.build_request(
            "POST", f"/connection/{transport}", content=body, headers={**JSON, **(headers or {})}
        )
    response = await http.send(request, stream=True)
    try:
        yield Stream(http, response, events=transport == "sse")
    finally:
        await response.aclose()
