"""The access log of sockets and streams, by setting: a line for each RPC and for the end of each connection.

Where the setting is off nothing of this is in the way: the application calls the table itself, and no hook listens.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Protocol

import structlog

from handlers.contract import Caller
from handlers.settings import Settings
from realtime.hooks import Connected, Disconnected, Hooks
from realtime.ports import PendingReply, ProtocolError
from server.commands.table import CommandTable

_log = structlog.get_logger()


class Commands(Protocol):
    """What the application needs of a table."""

    def call(self, method: str, data: bytes, caller: Caller) -> PendingReply:
        """Run an RPC. Raises ProtocolError, at once or from what is returned."""
        ...


class LoggedCommands:
    """A table whose every call is a line: `method`, `code`, `ms`, `user_id`, and `trace_id` of what failed."""

    def __init__(self, table: CommandTable) -> None:
        """Log what this table is called for."""
        self._table = table

    def call(self, method: str, data: bytes, caller: Caller) -> PendingReply:
        """Run an RPC, as the table does."""
        name = method if self._table.knows(method) else "unknown"
        tell = partial(_tell, name, caller, perf_counter())
        try:
            return _LoggedReply(self._table.call(method, data, caller), tell)
        except ProtocolError as error:
            tell(error)
            raise


def logged(table: CommandTable, hooks: Hooks, settings: Settings) -> Commands:
    """Return the table; by setting one that logs its calls, and log the ends of connections that the hooks tell of."""
    if not settings.access_log:
        return table
    log_connections(hooks)
    return LoggedCommands(table)


class _LoggedReply:
    """An answer that comes later, told when it comes and then passed on in the same step."""

    __slots__ = ("_reply", "_tell", "cancelled", "exception", "result")

    def __init__(self, reply: PendingReply, tell: Callable[[BaseException | None], None]) -> None:
        self._reply, self._tell = reply, tell
        self.cancelled, self.exception, self.result = reply.cancelled, reply.exception, reply.result

    def add_done_callback(self, callback: Callable[[PendingReply], object], /) -> None:
        def done(reply: PendingReply) -> None:
            self._tell(asyncio.CancelledError() if reply.cancelled() else reply.exception())
            callback(self)

        self._reply.add_done_callback(done)


def _tell(method: str, caller: Caller, started: float, error: BaseException | None) -> None:
    code, facts = "ok", {}
    if isinstance(error, ProtocolError):
        code = error.message.partition(":")[0]
        facts = {"trace_id": error.trace_id} if error.trace_id else {}
    elif error is not None:
        code = type(error).__name__
    _log.info(
        "rpc", method=method, code=code, ms=_ms_since(started), user_id=str(caller.user_id or ""), **facts
    )


def log_connections(hooks: Hooks) -> None:
    """Log the end of each socket and stream: `transport`, `cause`, `code`, `ms` since its connect, `user_id`."""
    connected_at: dict[str, float] = {}

    def connected(fact: Connected) -> None:
        connected_at[fact.client] = perf_counter()

    def disconnected(fact: Disconnected) -> None:
        started = connected_at.pop(fact.client, 0.0)
        _log.info(
            "connection_ended",
            transport=fact.context.transport,
            cause=str(fact.cause),
            code=fact.code,
            ms=_ms_since(started) if started else 0,
            user_id=fact.identity.user,
        )

    hooks.connected.append(connected)
    hooks.disconnected.append(disconnected)


def _ms_since(started: float) -> float:
    return round((perf_counter() - started) * 1000, 2)
