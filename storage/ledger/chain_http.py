"""The way to a node: JSON-RPC over HTTP, which believes nothing that comes back.

An answer has a largest size and a latest time, follows no redirect, and is an answer to what was asked or an error.
"""

import asyncio
from itertools import count
from typing import Any

import httpx
import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from storage.ledger.chain_errors import ChainError, RefusedCallError

ANSWER_BYTES_MAX = 1 << 20
"""A block's header with the hashes of ten thousand transactions has 700 KiB."""

CALL_S = 5.0
"""For one call, from connecting to the last byte."""


class _Error(Struct):
    message: str = ""


class _Answer(Struct):
    id: int
    result: Raw | UnsetType = UNSET
    error: _Error | None = None


_DECODER = msgspec.json.Decoder(_Answer)


class BoundedProvider(AsyncJSONBaseProvider):
    """What web3 sends calls through."""

    global_ccip_read_enabled = False
    """An answer must not name further URLs to ask (ERC-3668)."""

    def __init__(self, url: str, call_s: float = CALL_S) -> None:
        """Speak to a node at an http(s) URL; opens nothing yet. The URL may hold a key: it is in no message."""
        super().__init__()
        self._url = url
        self._call_s = call_s
        self._client = httpx.AsyncClient(timeout=call_s, follow_redirects=False, trust_env=False)
        self._numbers = count(1)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:  # noqa: ANN401 - any JSON
        """Return the result of a call as web3 expects it. Raises ChainError."""
        number = next(self._numbers)
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            async with asyncio.timeout(self._call_s):
                content = await self._post(body)
        except (TimeoutError, httpx.HTTPError) as error:
            raise ChainError("unreachable", f"{method}: {type(error).__name__}") from None
        return RPCResponse(jsonrpc="2.0", id=number, result=_read(content, number, method))

    async def _post(self, body: bytes) -> bytes:
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        async with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise ChainError("bad_answer", "a compressed answer, which was not asked for")
            content = bytearray()
            async for part in answer.aiter_raw():
                content += part
                if len(content) > ANSWER_BYTES_MAX:
                    raise ChainError("bad_answer", f"more than {ANSWER_BYTES_MAX} bytes")
            if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                raise ChainError("unreachable", f"HTTP {answer.status_code}")
            return bytes(content)


def _read(content: bytes, number: int, method: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the result in an answer. Raises ChainError."""
    try:
        answer = _DECODER.decode(content)
        if answer.error is not None:
            raise RefusedCallError(f"{method}: {answer.error.message}")
        if answer.id == number and answer.result is not UNSET:
            return msgspec.json.decode(answer.result)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        pass
    raise ChainError("bad_answer", f"{method}: no answer of JSON-RPC")
