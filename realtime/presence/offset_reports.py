"""Offset reports: how far each client has processed a channel, written to the store that all processes share.

There is at most one entry per subscription, removed with it. Reports are collected and written once a second at most,
the newest of each client. Entries are repeated; those of a killed process expire in the store. Source: decision 0034.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from itertools import islice

from realtime.channels.channel import HubContext
from realtime.ports import OffsetReport, OffsetReportStore

_log = logging.getLogger(__name__)

GATHER_S = 1.0
"""How long reports are collected: the store gets each client once a second at most."""

_BATCH = 500
_GONE = -1


class OffsetReports:
    """The offset reports of one hub's clients."""

    def __init__(self, store: OffsetReportStore, context: HubContext) -> None:
        """Start with none."""
        self._store, self._context = store, context
        self._here: dict[tuple[str, str], OffsetReport] = {}
        self._changed: dict[tuple[str, str], OffsetReport] = {}
        self._sending: asyncio.Task[None] | None = None

    def report(self, channel: str, client: str, user: str, offset: int) -> int:
        """Note how far a client has got, never backward; return the offset that counts."""
        known = self._here.get((channel, client))
        if known is not None and known.offset >= offset:
            return known.offset
        now_ms = time.time_ns() // 1_000_000
        self._change(OffsetReport(channel, client, user, offset, now_ms))
        return offset

    def leave(self, channel: str, client: str) -> None:
        """Remove the report of a client that unsubscribed."""
        known = self._here.pop((channel, client), None)
        if known is not None:
            self._changed[channel, client] = known._replace(offset=_GONE)
            self._send_soon()

    async def repeat(self) -> None:
        """Write all entries again every `presence_repeat_s`, for ever."""
        while True:
            await asyncio.sleep(self._context.limits.presence_repeat_s)
            for key, report in self._here.items():
                self._changed.setdefault(key, report)
            self._send_soon()

    def _change(self, report: OffsetReport) -> None:
        self._here[report[:2]] = self._changed[report[:2]] = report
        self._send_soon()

    def _send_soon(self) -> None:
        if self._sending is None and self._changed:
            self._sending = self._context.start(self._send(GATHER_S))

    async def _send(self, gather_s: float) -> None:
        try:
            await asyncio.sleep(gather_s)
            await self._send_now()
        finally:
            self._sending = None
        self._send_soon()

    async def _send_now(self) -> None:
        changes: Iterable[OffsetReport] = self._changed.values()
        self._changed, rest = {}, iter(list(changes))
        while batch := list(islice(rest, _BATCH)):
            try:
                await self._store.apply(batch)
            except Exception as error:  # noqa: BLE001 - whatever the store raises; the next repetition repairs it
                _log.warning("%d offset reports are lost: %s", len(batch), error)

    async def finish(self, within_s: float) -> None:
        """Write the last changes, within a bounded time; what remains expires in the store."""
        if self._sending is not None:
            self._sending.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._send_now()
