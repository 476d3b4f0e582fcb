"""A Centrifuge JSON client for gevent: one greenlet reads, commands wait for their answers, locust keeps the times."""

import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust.env import Environment
from websocket import WebSocketException, create_connection

from load.client import ServerError
from load.scenarios.accounts import Session
from load.wire import websocket_url

TIMEOUT_S = 10.0
CAUSED_BY_USERS = frozenset({"bid_too_low", "auction_not_live"})
"""Refusals that are counted under a name of their own, not as failures."""

OnPublication = Callable[[str, int, Mapping[str, Any]], None]


class GeventSocket:
    """One connection of one user."""

    def __init__(self, environment: Environment, base_url: str, on_publication: OnPublication) -> None:
        """Remember where to connect; `open` does it."""
        self._environment = environment
        self._url = websocket_url(base_url)
        self._on_publication = on_publication
        self._ids = itertools.count(1)
        self._waiting: dict[int, AsyncResult[dict[str, Any]]] = {}
        self._reader: gevent.Greenlet[..., None] | None = None
        self._refresher: gevent.Greenlet[..., None] | None = None

    def open(self, session: Session) -> None:
        """Connect and authenticate, and stay so. Raises what the network raises, ServerError."""
        self._socket = create_connection(self._url, timeout=TIMEOUT_S, skip_utf8_validation=True)
        self._socket.settimeout(None)
        self._reader = gevent.spawn(self._read)
        self._timed("WS", "connect", "connect", {"token": session.token()})
        self._refresher = gevent.spawn(self._stay, session)

    def close(self) -> None:
        """Disconnect."""
        if self._refresher is not None:
            self._refresher.kill()
        if self._reader is not None:
            self._reader.kill()
            self._socket.close()

    def _stay(self, session: Session) -> None:
        """Show the server each new token before the one it knows expires."""
        shown = session.token()
        while True:
            gevent.sleep(session.renew_in_s())
            token = session.token()
            if token != shown:  # a request over REST may have renewed it
                self._timed("WS", "refresh", "refresh", {"token": token})
                shown = token

    def subscribe(self, channel: str) -> None:
        """Follow a channel. Raises ServerError."""
        name = f"subscribe {channel.partition(':')[0]}"
        self._timed("WS", name, "subscribe", {"channel": channel})

    def rpc(self, method: str, data: Mapping[str, Any], name: str = "") -> dict[str, Any]:
        """Run a command, counted by its name or another one, and return its answer.

        Raises: ServerError, also for refusals that users cause.
        """
        reply = self._timed("RPC", name or method, "rpc", {"method": method, "data": data})
        told: dict[str, Any] = reply["rpc"].get("data", {})
        return told

    def _timed(self, kind: str, name: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        started_at = time.perf_counter()
        error: Exception | None = None
        reply: dict[str, Any] = {}
        try:
            reply = self._ask(command, body)
        except (ServerError, WebSocketException, OSError, gevent.Timeout) as caught:
            error = caught if isinstance(caught, Exception) else TimeoutError(f"no answer in {TIMEOUT_S} s")
        word = error.word if isinstance(error, ServerError) else ""
        is_refusal = word in CAUSED_BY_USERS
        self._environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=kind,
            name=f"{name}: {word}" if is_refusal else name,
            response_time=(time.perf_counter() - started_at) * 1000,
            response_length=0,
            exception=None if is_refusal else error,
            context={},
        )
        if error is not None:
            raise error
        return reply

    def _ask(self, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        result: AsyncResult[dict[str, Any]] = AsyncResult()
        self._waiting[number] = result
        self._socket.send(json.dumps({"id": number, command: body}))
        reply: dict[str, Any] = result.get(timeout=TIMEOUT_S)
        if "error" in reply:
            raise ServerError(reply["error"]["code"], reply["error"].get("message", ""))
        return reply

    def _read(self) -> None:
        try:
            while text := self._socket.recv():
                for line in text.splitlines():
                    self._take(json.loads(line))
        except (WebSocketException, OSError) as error:
            for result in self._waiting.values():
                result.set_exception(error)

    def _take(self, reply: dict[str, Any]) -> None:
        if not reply:
            self._socket.send("{}")  # the server's ping
        elif "id" in reply:
            self._waiting.pop(reply["id"]).set(reply)
        elif "pub" in reply.get("push", {}):
            push = reply["push"]
            self._on_publication(push["channel"], push["pub"].get("offset", 0), push["pub"]["data"])
