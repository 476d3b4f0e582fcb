"""Read the caller's second-chance offers, made or received, page by page."""

from uuid import UUID

from msgspec import Struct

from handlers.auctions.locking import read_lots
from handlers.auctions.second_chances.offers import show_offer
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.second_chances import ListSecondChances, SecondChanceList
from protocols.cursors import read_cursor, write_cursor
from storage.auctions.second_chances_postgres import list_made, list_received


class _Place(Struct, array_like=True, frozen=True):
    """The id of the last offer of a page."""

    offer_id: UUID


_NEWEST = _Place(UUID(int=2**128 - 1))


async def list_second_chances(
    command: ListSecondChances,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return a page of the caller's own offers. Raises InvalidInput."""
    before = read_cursor(command.cursor, _Place, _NEWEST)
    read = list_made if command.role == "seller" else list_received
    rows = await read(stores.db, caller.id, before.offer_id, command.status, command.limit + 1)
    page = rows[: command.limit]
    lots = await read_lots(stores.db, {row["auction_id"] for row in page})
    next_cursor = write_cursor(_Place(page[-1]["offer_id"])) if len(rows) > command.limit else None
    items = [show_offer(lots[row["auction_id"]], row, caller) for row in page]
    return Outcome(SecondChanceList(items, next_cursor))
