"""Replayed channels for clients without a socket: a long poll over the events table.

A poll that finds nothing waits until its channel is published on, and looks again; while it waits it also looks every
few seconds, so that a publication lost on the way costs a delay and never an event.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import msgspec

from handlers.contract import Caller
from protocols.channels import PollChannel
from protocols.errors import UnknownChannel
from protocols.topics import Entry
from protocols.values import to_json, to_timestamp
from realtime.ports import ChannelRule, Lane
from server.commands.decoding import StructDecoder, invalid
from server.http.arguments import parse_query
from server.http.callers import Callers
from server.http.exchange import Incoming, Reply
from server.http.shares import Shares
from server.process.metrics import Metrics

PATH = "/v1/channels/{channel}/events"

TOKEN_HEADER = b"channel-token"
"""A scope token; a header, because proxies write addresses into their logs."""

WAITING_MAX = 2_000
"""Polls that may wait in one process: each holds a task and a connection, about 20 KiB."""

WAITING_PER_CALLER_MAX = 16
"""Polls of one user, or one address (of IPv6 one /64), that may wait in one process: an app follows a few channels."""

LOOK_AGAIN_S = 3.0
"""How long a lost publication can delay a waiting poll."""


Watch = Callable[[str], AbstractAsyncContextManager[asyncio.Event]]
"""Opened with a channel: an event that is set at every publication from then on."""


@dataclass(frozen=True, slots=True)
class ChannelSource:
    """What polls read; `server/wiring` gives the channel rules, the channel log, and the hub's watch."""

    epoch: str
    authorize: Callable[[Caller, str, str], Awaitable[ChannelRule]]
    """`(caller, channel, scope token or "")`"""
    read: Callable[[str, int, int], Awaitable[Sequence[Entry]]]
    heads: Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]
    watch: Watch
    leaving: Callable[[], bool] = lambda: False
    """Whether the process is about to end: then nobody waits any longer."""


class ChannelPolls:
    """Serves the polls of one process."""

    def __init__(self, source: ChannelSource, callers: Callers, metrics: Metrics) -> None:
        """Begin with nobody waiting."""
        self._source = source
        self._callers = callers
        self._metrics = metrics
        self._decoder = StructDecoder(PollChannel)
        self._waiting = Shares("polls that wait")

    async def __call__(self, request: Incoming) -> Reply:
        """Answer with the events after an offset, at once or when there are some, at latest after `wait_s`.

        An offset that the channel does not have is answered at once with the channel's end, as a socket's recovery is.

        Raises: UnknownChannel, NotAllowed, RateLimited, TemporarilyUnavailable; for a scope token that is shown
        TokenInvalid, TokenExpired, SessionOver, ScopeTokenOver.
        """
        caller = await self._callers.admit(request, 1)
        poll = self._read_poll(request)
        rule = await self._source.authorize(caller, poll.channel, request.header(TOKEN_HEADER))
        if rule.lane is not Lane.REPLAYED:
            raise UnknownChannel("This channel keeps its newest value only; subscribe to it over a websocket")
        entries = await self._recover(poll)
        if entries is None:
            heads = await self._source.heads([poll.channel])
            return Reply(200, self._render((), heads[poll.channel], recovered=False))
        if not entries and poll.wait_s > 0:
            entries = await self._wait(request, caller, poll)
            if rule.delegation is not None:
                rule.delegation.confirm()  # the issuer may have taken the token back meanwhile
        return Reply(200, self._render(entries, poll.after, recovered=True))

    def _read_poll(self, request: Incoming) -> PollChannel:
        values: dict[str, Any] = {"channel": request.path_values["channel"]}
        for name, text in parse_query(request.query):
            if name in values:
                raise invalid("A query parameter may come once", f"/{name}")
            values[name] = text
        poll = self._decoder.convert(values, strict=False)
        assert isinstance(poll, PollChannel)
        return poll

    async def _recover(self, poll: PollChannel) -> Sequence[Entry] | None:
        """Return what follows a position, or None when the channel does not have it or not all that followed."""
        if poll.epoch not in {"", self._source.epoch}:
            return None
        entries = await self._source.read(poll.channel, poll.after, poll.limit)
        if entries:
            return entries if entries[0].number == poll.after + 1 else None
        heads = await self._source.heads([poll.channel])
        return entries if poll.after <= heads[poll.channel] else None

    async def _wait(self, request: Incoming, caller: Caller, poll: PollChannel) -> Sequence[Entry]:
        with self._waiting.one_of(caller, WAITING_MAX, WAITING_PER_CALLER_MAX):
            self._metrics.waiting_polls.inc()
            gone = asyncio.ensure_future(request.disconnected())
            waiting = asyncio.ensure_future(self._next_entries(poll))
            try:
                await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
                return waiting.result() if waiting.done() else ()
            finally:
                gone.cancel()
                waiting.cancel()
                await asyncio.gather(gone, waiting, return_exceptions=True)
                self._metrics.waiting_polls.dec()

    async def _next_entries(self, poll: PollChannel) -> Sequence[Entry]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + poll.wait_s
        async with self._source.watch(poll.channel) as published:
            while True:
                entries = await self._source.read(poll.channel, poll.after, poll.limit)
                left = deadline - loop.time()
                if entries or left <= 0 or self._source.leaving():
                    return entries
                try:
                    async with asyncio.timeout(min(left, LOOK_AGAIN_S)):
                        await published.wait()
                except TimeoutError:
                    continue
                published.clear()

    def _render(self, entries: Sequence[Entry], position: int, *, recovered: bool) -> bytes:
        return to_json(
            {
                "epoch": self._source.epoch,
                "recovered": recovered,
                "events": [
                    {"offset": e.number, "data": msgspec.Raw(e.data), "at": to_timestamp(e.at_ms)}
                    for e in entries
                ],
                "offset": entries[-1].number if entries else position,
            }
        )
