"""Clients that come back: they follow channels, reconnect as the SDKs do, resume, and judge what they are given.

A follower knows the number of the last event of each of its channels. Whatever happens to its connection, the next
event it takes must be the next number; anything else is noted as a violation, never repaired.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
from picows import WSError

from load.client import Publication, Reply, ServerError, Socket, SocketClosedError, Subscribed, open_socket
from load.latencies import Latencies

BACK_OFF_S = (0.5, 10.0)
"""The SDKs wait a random part of the first before they come back, doubled with each failure up to the second."""

TERMINAL = frozenset({*range(3500, 4000), *range(4500, 5000)})
"""Close codes after which the SDKs do not come back."""

UNREACHABLE = (WSError, SocketClosedError, OSError, TimeoutError)
"""What a client that cannot connect meets; it tries again."""


@dataclass(slots=True)
class Score:
    """What all followers of a run met together."""

    taken: int = 0
    """Events taken, each the next of its channel."""
    resumed: int = 0
    failures: int = 0
    """Attempts that did not lead to a connection: refused, unreachable, too late."""
    violations: list[str] = field(default_factory=list)
    returns: Latencies = field(default_factory=Latencies)
    """From the loss of a connection to the last of its channels resumed, pauses included."""


class Follower:
    """One client."""

    def __init__(
        self,
        url: str,
        token: str,
        channels: Sequence[str],
        score: Score,
        on_event: Callable[[str, Publication], None] | None = None,
    ) -> None:
        """Follow nothing until `run`; `on_event` is called with each event after it was judged."""
        self._url, self._token, self._score = url, token, score
        self._on_event = on_event
        self._positions: dict[str, tuple[str, int]] = dict.fromkeys(channels, ("", -1))
        """Epoch and number of the last event by channel; -1: never subscribed."""
        self._socket: Socket | None = None
        self._lost_at = 0.0
        self.is_following = False
        """Whether every channel is subscribed now."""
        self.on_following: Callable[[], None] | None = None
        self.stopping = False

    @property
    def positions(self) -> Mapping[str, int]:
        """The number of the last event by channel."""
        return {channel: offset for channel, (_, offset) in self._positions.items()}

    async def run(self) -> None:
        """Follow until `stop`."""
        attempt = 0
        while not self.stopping:
            try:
                socket = await self._enter()
            except (*UNREACHABLE, ServerError) as error:
                if isinstance(error, ServerError) and not error.is_temporary:
                    self._score.violations.append(f"refused for good: {error}")
                    return
                self._score.failures += 1
                attempt += 1
            else:
                attempt = 0
                await self._until_closed(socket)
            if not self.stopping:
                await self._pause(attempt)

    def cut(self) -> None:
        """Lose the connection as a network does: without a word."""
        if self._socket is not None and self._socket.transport is not None:
            self._socket.transport.disconnect(graceful=False)

    def stop(self) -> None:
        """Close and come back no more."""
        self.stopping = True
        if self._socket is not None:
            self._socket.close()

    async def _pause(self, attempt: int) -> None:
        first_s, most_s = BACK_OFF_S
        await asyncio.sleep(random.uniform(0, min(most_s, first_s * 2**attempt)))

    async def _enter(self) -> Socket:
        """Connect and resume every channel. Raises UNREACHABLE, ServerError."""
        socket = await open_socket(self._url, self._token, self._take)
        self._socket = socket
        try:
            for channel in self._positions:
                await self._resume(socket, channel)
        except BaseException:
            socket.close()
            raise
        if self._lost_at:
            self._score.returns.add(time.monotonic() - self._lost_at)
            self._lost_at = 0.0
        self.is_following = True
        if self.on_following is not None:
            self.on_following()
        return socket

    async def _resume(self, socket: Socket, channel: str) -> None:
        epoch, offset = self._positions[channel]
        wish: dict[str, object] = {"channel": channel, "flag": 1}
        if offset >= 0:
            wish |= {"recover": True, "epoch": epoch, "offset": offset}
        await socket.ask("subscribe", msgspec.json.encode(wish), partial(self._resumed, socket, channel))

    def _resumed(self, socket: Socket, channel: str, reply: Reply) -> None:
        if reply.error is not None:
            return
        told = reply.subscribe or Subscribed()
        _, offset = self._positions[channel]
        if offset < 0:
            self._positions[channel] = (told.epoch, told.offset)
            return
        if not told.recovered:
            self._score.violations.append(f"{channel}: could not resume after {offset}")
            self._positions[channel] = (told.epoch, told.offset)
            return
        self._score.resumed += 1
        for publication in told.publications:
            self._take(socket, channel, publication)

    def _take(self, socket: Socket, channel: str, publication: Publication) -> None:
        epoch, offset = self._positions.get(channel, ("", -1))
        if offset < 0 or socket is not self._socket:
            return  # a channel of the server's own, or a connection given up
        if publication.offset != offset + 1:
            self._score.violations.append(f"{channel}: {publication.offset} after {offset}")
        self._positions[channel] = (epoch, publication.offset)
        self._score.taken += 1
        if self._on_event is not None:
            self._on_event(channel, publication)

    async def _until_closed(self, socket: Socket) -> None:
        closed = asyncio.Event()
        socket.on_closed = lambda _socket: closed.set()
        if socket.transport is None or not socket.closed:
            await closed.wait()
        self.is_following = False
        self._lost_at = time.monotonic()
        code = socket.closed.partition(" ")[0]
        if code.isdigit() and int(code) in TERMINAL:
            self._score.violations.append(f"sent away for good: {socket.closed}")
            self.stopping = True


@contextlib.asynccontextmanager
async def following(followers: Sequence[Follower], spread_s: float = 0.0) -> AsyncIterator[None]:
    """Run followers, started over `spread_s`, until the block ends."""
    loop = asyncio.get_running_loop()

    async def start(follower: Follower, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await follower.run()

    tasks = [
        loop.create_task(start(follower, spread_s * number / len(followers)))
        for number, follower in enumerate(followers)
    ]
    try:
        yield
    finally:
        for follower in followers:
            follower.stop()
        _, late = await asyncio.wait(tasks, timeout=5) if tasks else ((), ())
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
