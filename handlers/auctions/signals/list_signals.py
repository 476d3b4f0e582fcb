"""Read signals of abuse, page by page."""

from uuid import UUID

from msgspec import Struct

from handlers.auctions.signals.signal_views import to_signal
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.signals import ListSignals, SignalList
from protocols.cursors import read_cursor, write_cursor
from storage.auctions import signals_postgres


class _Cursor(Struct, array_like=True, frozen=True):
    """The id of the last signal of a page."""

    signal_id: UUID


_NEWEST = _Cursor(UUID(int=2**128 - 1))


async def list_signals(
    command: ListSignals,
    caller: Caller,  # noqa: ARG001 - the route's permission decides
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return a page of signals of one status, newest first. Raises InvalidInput."""
    before = read_cursor(command.cursor, _Cursor, _NEWEST)
    rows = await signals_postgres.list_signals(
        stores.db, command.status, before.signal_id, command.seller, command.limit + 1
    )
    page = rows[: command.limit]
    next_cursor = write_cursor(_Cursor(page[-1].signal_id)) if len(rows) > command.limit else None
    return Outcome(SignalList(items=[to_signal(row) for row in page], next_cursor=next_cursor))
