"""Read the bids of an auction page by page, newest first."""

from typing import Annotated

from msgspec import Meta, Struct

from handlers.auctions.locking import AuctionTerms, read_auction_terms
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import BidList, BidRecord, ListBids
from protocols.cursors import read_cursor, write_cursor
from protocols.values import to_timestamp
from storage.auctions import bids_postgres
from storage.auctions.sealed_postgres import list_sealed_bids


class _Cursor(Struct, array_like=True, frozen=True):
    """The number of the last bid of a page."""

    number: Annotated[int, Meta(ge=0, le=2**53)]


_NEWEST = _Cursor(2**53)


async def list_bids(
    command: ListBids,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - bids do not age
) -> Outcome:
    """Return a page of masked bids; maxima are the caller's own or none. Raises AuctionNotFound, InvalidInput."""
    terms = await read_auction_terms(stores.db, command.auction_id)
    before = read_cursor(command.cursor, _Cursor, _NEWEST)
    if terms.rules.bid_mechanism == "sealed":
        return await _list_sealed(command, terms, stores, before.number)
    rows = await bids_postgres.list_bids(stores.db, command.auction_id, before.number, command.limit + 1)
    page = rows[: command.limit]
    items = [
        BidRecord(
            bid_id=row.bid_id,
            offset=row.number,
            bidder=terms.mask(row.bidder_id),
            price=row.price,
            at=to_timestamp(row.at_ms),
            retracted=row.retracted,
            your_maximum=row.amount if row.bidder_id == caller.user_id else None,
            quantity=row.quantity if terms.sale.quantity > 1 else None,
        )
        for row in page
    ]
    return _answer(items, more=len(rows) > command.limit)


async def _list_sealed(command: ListBids, terms: AuctionTerms, stores: Stores, before: int) -> Outcome:
    """Return a page of commitments, with amounts once they are opened."""
    rows = await list_sealed_bids(stores.db, command.auction_id, before, command.limit + 1)
    items = [
        BidRecord(
            bid_id=row.bid_id,
            offset=row.number,
            bidder=terms.mask(row.bidder_id),
            price=row.amount or terms.sale.starting_price,
            at=to_timestamp(row.at_ms),
            retracted=row.replaced,
            your_maximum=None,
            commitment=row.commitment.hex(),
            quantity=row.quantity if terms.sale.quantity > 1 else None,
        )
        for row in rows[: command.limit]
    ]
    return _answer(items, more=len(rows) > command.limit)


def _answer(items: list[BidRecord], *, more: bool) -> Outcome:
    return Outcome(
        BidList(items=items, next_cursor=write_cursor(_Cursor(items[-1].offset)) if more else None)
    )
