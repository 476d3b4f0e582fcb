"""Read the caller's second-chance offers, made or received, page by page."""

from uuid import UUID

from msgspec import Struct

from handlers.auctions.locking import read_terms_by_id
from handlers.auctions.second_chances.offers import to_second_chance
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.second_chances import ListSecondChances, SecondChanceList
from protocols.cursors import read_cursor, write_cursor
from storage.auctions.second_chances_postgres import list_made, list_received


class _Cursor(Struct, array_like=True, frozen=True):
    """The id of the last offer of a page."""

    offer_id: UUID


_NEWEST = _Cursor(UUID(int=2**128 - 1))


async def list_second_chances(
    command: ListSecondChances,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return a page of the caller's own offers. Raises InvalidInput."""
    before = read_cursor(command.cursor, _Cursor, _NEWEST)
    read = list_made if command.role == "seller" else list_received
    rows = await read(stores.db, caller.id, before.offer_id, command.status, command.limit + 1)
    page = rows[: command.limit]
    terms_by_id = await read_terms_by_id(stores.db, {row.auction_id for row in page})
    next_cursor = write_cursor(_Cursor(page[-1].offer_id)) if len(rows) > command.limit else None
    items = [to_second_chance(terms_by_id[row.auction_id], row, caller) for row in page]
    return Outcome(SecondChanceList(items=items, next_cursor=next_cursor))
