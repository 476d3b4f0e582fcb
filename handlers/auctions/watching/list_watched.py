"""Read the caller's watch list page by page."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct
from msgspec.structs import asdict

from handlers.auctions.views import to_summary
from handlers.auctions.watching.watch_list import state_of
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.pages import WatchedAuction, WatchList
from protocols.auctions.watching import ListWatched
from protocols.cursors import read_cursor, write_cursor
from protocols.values import to_timestamp
from storage.auctions import watches_postgres
from storage.auctions.watches_postgres import WatchedRow


class _Cursor(Struct, array_like=True, frozen=True):
    """The last auction of a page: whether it is over, its end (negative when over), its id."""

    is_over: bool
    rank: Annotated[int, Meta(ge=-(2**53), le=2**53)]
    auction_id: UUID


_FIRST = _Cursor(False, -(2**53), UUID(int=0))
_SHOW = {"all": None, "open": True, "over": False}


async def list_watched(command: ListWatched, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return a page with where the caller stands in each auction. Raises InvalidInput."""
    after = read_cursor(command.cursor, _Cursor, _FIRST)
    place = (after.is_over, after.rank, after.auction_id)
    rows = await watches_postgres.list_watched(
        stores.db, caller.id, place, command.limit + 1, only_open=_SHOW[command.show], status=command.status
    )
    page = rows[: command.limit]
    items = [_show(row, caller.id, now_ms) for row in page]
    next_cursor = write_cursor(_place(page[-1])) if len(rows) > command.limit else None
    return Outcome(WatchList(items=items, next_cursor=next_cursor, server_time=to_timestamp(now_ms)))


def _show(row: WatchedRow, user_id: UUID, now_ms: int) -> WatchedAuction:
    state = state_of(user_id, row, has_bid=row.has_bid, has_units=row.your_maximum is not None)
    return WatchedAuction(
        **asdict(to_summary(row, now_ms)),
        your_state=state,
        your_maximum=(row.your_maximum or row.leader_max) if state == "leading" else None,
        remind_before_s=row.remind_before_s,
    )


def _place(row: WatchedRow) -> _Cursor:
    is_over = row.status not in {"scheduled", "live"}
    return _Cursor(is_over, -row.ends_at_ms if is_over else row.ends_at_ms, row.auction_id)
