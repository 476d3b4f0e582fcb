"""Read an auction's page: auction, goods, seller, newest bids and the caller's own state, all of one instant."""

from hashlib import blake2b
from uuid import UUID

import msgspec
from msgspec import Struct

from handlers.auctions.locking import mask_bidder
from handlers.auctions.rules import UnitAllocation
from handlers.auctions.views import to_auction
from handlers.auctions.watching.viewers import read_viewer_count
from handlers.auctions.watching.watch_list import state_of
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import Auction, BidRecord
from protocols.auctions.pages import AuctionPage, GetPage, PageListing, PageSeller, You
from protocols.auctions.refusals import AuctionNotFound
from protocols.values import to_json, to_timestamp
from storage.auctions.page_postgres import PageRow, read_page

BIDS_SHOWN = 10
"""Newest bids on a page; `list_bids` has the others."""

VERSION_BYTES = 6
"""48 bits of a digest: an integer that JavaScript keeps exact."""


class _Bid(Struct, array_like=True):
    """A bid as `read_page` packs it."""

    number: int
    bid_id: UUID
    bidder_id: UUID
    price: int
    at_ms: int
    quantity: int | None
    is_gone: bool
    own_amount: int | None
    commitment: str | None


_read_bids = msgspec.json.Decoder(list[_Bid]).decode


async def get_page(command: GetPage, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return the page as this caller may see it. Raises AuctionNotFound."""
    row = await read_page(stores.db, command.auction_id, caller.user_id, BIDS_SHOWN)
    if row is None:
        raise AuctionNotFound
    auction = to_auction(row, caller, stores.epoch, now_ms, _own_allocation(row, caller))
    listing = _to_listing(row)
    seller = PageSeller(id=row.seller_id, display_name=row.display_name or "", since=_since(row))
    bids = [_to_bid(bid, row) for bid in _read_bids(row.bids)]
    you = _to_you(row, caller, auction)
    version = _digest(auction.version, row.listing_version, row.display_name, row.watchers, you)
    page = AuctionPage(
        auction=auction,
        listing=listing,
        seller=seller,
        bids=bids,
        you=you,
        server_time=auction.server_time,
        position=auction.position,
        version=version,
        watching_now=await read_viewer_count(stores, command.auction_id, now_ms),
    )
    return Outcome(page)


def _own_allocation(row: PageRow, caller: Caller) -> UnitAllocation | None:
    """Return what the caller gets of several units."""
    if caller.user_id is None or row.allocated_units is None:
        return None
    assert row.allocated_amount is not None
    assert row.allocated_quantity is not None, "columns of one row"
    return UnitAllocation(
        bidder_id=caller.user_id,
        amount=row.allocated_amount,
        quantity=row.allocated_quantity,
        units=row.allocated_units,
        number=0,
    )


def _since(row: PageRow) -> str | None:
    since_ms = row.seller_since_ms
    return None if since_ms is None else to_timestamp(since_ms)


def _to_listing(row: PageRow) -> PageListing:
    return PageListing(
        id=row.listing_id,
        title=row.title,
        description=row.description,
        category=row.category,
        condition=row.condition,
        weight_g=row.weight_g,
        volume_cm3=row.volume_cm3,
        attributes=msgspec.json.decode(row.attributes),
        version=row.listing_version,
    )


def _to_bid(bid: _Bid, row: PageRow) -> BidRecord:
    return BidRecord(
        bid_id=bid.bid_id,
        offset=bid.number,
        bidder=mask_bidder(row.mask_salt, bid.bidder_id),
        price=bid.price,
        at=to_timestamp(bid.at_ms),
        retracted=bid.is_gone,
        your_maximum=bid.own_amount,
        commitment=bid.commitment,
        quantity=bid.quantity if row.quantity > 1 else None,
    )


def _to_you(row: PageRow, caller: Caller, auction: Auction) -> You | None:
    if caller.user_id is None:
        return None
    state = state_of(caller.user_id, row, has_bid=row.has_bid, has_units=row.allocated_units is not None)
    return You(
        state=state,
        mask=mask_bidder(row.mask_salt, caller.user_id),
        maximum=auction.your_maximum if state == "leading" else None,
        is_seller=row.seller_id == caller.user_id,
        watching=row.watching,
        remind_before_s=(row.remind_before_s or []) if row.watching else [],
    )


def _digest(*parts: object) -> int:
    """Return a number that changes when any of these does."""
    return int.from_bytes(blake2b(to_json(parts), digest_size=VERSION_BYTES).digest(), "big")
