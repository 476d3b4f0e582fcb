"""Open an auction on an own listing: live at once, or scheduled.

Rules: rules.py `open_state`, increment tables. Timers: open_scheduled_auction, close_auction.
"""

import os
from collections.abc import Iterator
from uuid import UUID

from handlers.auctions.deposits.rules import deposit_fault
from handlers.auctions.formats.table import rules_of
from handlers.auctions.guards.admission import write_guards
from handlers.auctions.increments import UNKNOWN_CURRENCY, read_table, refuse
from handlers.auctions.rules import (
    Fall,
    SaleTerms,
    SoftCloseTerms,
    Steps,
    closing_time,
    custom_steps,
    open_state,
)
from handlers.auctions.sales import add_movements
from handlers.auctions.sealed_bids import new_sealed_key
from handlers.auctions.views import to_auction
from handlers.auctions.watching.notify_watchers import timers_before_end
from handlers.contract import Caller, Event, Outcome, Stores, Timer
from protocols.auctions.channels import auction_channel
from protocols.auctions.commands import OpenAuction
from protocols.auctions.events import AuctionOpened
from protocols.auctions.refusals import ListingAlreadyInAuction, ListingNotAuctionable
from protocols.currencies import EXPONENTS
from protocols.errors import InvalidInput, NotAllowed
from protocols.values import new_id, to_instant, to_timestamp
from storage.auctions.auctions_postgres import (
    find_group_auctions,
    insert_auction,
    read_auction,
    read_open_formats,
)
from storage.auctions.guards_postgres import lock_seller
from storage.listings.selling import Goods, MovedStock, hold_for_auction, lock_goods
from storage.platform.vault import Vault

DAY_MS = 86_400_000

DURATION_MIN_MS = 1_000
"""The shortest auction, from start to end."""

DURATION_MAX_MS = 90 * DAY_MS
"""The longest auction; a start may be planned as far ahead."""

GROUP_MAX = 100
"""Open auctions of one group."""

START_TOLERANCE_MS = 60_000
"""A start this little in the past means now: the client's clock or the network was slow."""


_UNKNOWN_TERMS = {
    "reserve_price": "has no reserve",
    "buy_now_price": "has no buy-now price",
    "soft_close": "ends at its end",
    "increments": "has no increments",
    "dutch": "has no falling price",
    "quantity": "is about one unit",
}
"""What is said of a term that a format does not know, after its name and "auction"; unless its row says why."""

Error = tuple[str, str]
"""A field and what is wrong with it."""


async def open_auction(command: OpenAuction, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Write a new auction with its first event and its timers.

    Raises: InvalidInput, ListingNotAuctionable, NotAllowed, ListingAlreadyInAuction.
    """
    table = await read_table(stores.db, command.currency) if command.currency in EXPONENTS else None
    terms = _check(command, caller.id, table.steps if table else None, now_ms)
    await lock_seller(stores.db, caller.id)
    goods = await lock_goods(stores.db, command.listing_id)
    if goods is None or goods.status != "active":
        raise ListingNotAuctionable
    if goods.seller_id != caller.id:
        raise NotAllowed("Only the owner of the listing can put it up for auction")
    await _check_group_size(stores, caller.id, terms.group_id)
    auction_id = new_id()
    await _check_beside(goods, terms, stores)
    await _insert(command, terms, auction_id, stores, now_ms)
    moved = await _hold_goods(goods, terms, auction_id, stores, now_ms)
    await write_guards(command, terms, auction_id, stores)
    row = await read_auction(stores.db, auction_id)
    assert row is not None, "this transaction wrote it"
    view = to_auction(row, caller, stores.epoch, now_ms)
    opened = AuctionOpened(
        auction_id=auction_id,
        listing_id=command.listing_id,
        seller_id=caller.id,
        format=command.format,
        status=view.status,
        currency=command.currency,
        starting_price=terms.starting_price,
        minimum_bid=view.minimum_bid,
        has_reserve=view.has_reserve,
        buy_now_price=terms.buy_now_price,
        starts_at=to_timestamp(terms.starts_at_ms),
        ends_at=to_timestamp(terms.ends_at_ms),
        dutch=command.dutch,
        quantity=terms.quantity,
        exposure_guard=terms.exposure_guard,
        wallet_guard=terms.wallet_guard,
        bidders=command.bidders,
        deposit=terms.deposit,
    )
    timers = [
        Timer("close_auction", auction_id, closing_time(terms.ends_at_ms)),
        *timers_before_end(auction_id, terms.starts_at_ms, terms.ends_at_ms),
    ]
    if view.status == "scheduled":
        timers.append(Timer("open_scheduled_auction", auction_id, terms.starts_at_ms))
    event = Event(auction_channel(auction_id), "auction_opened", opened, view.version)
    return add_movements(Outcome(view, events=[event], timers=timers), moved)


async def _check_beside(goods: Goods, terms: SaleTerms, stores: Stores) -> None:
    """Let an auction open that has pieces of its own. A listing that says what is wanted is in one auction at a time.

    Raises: ListingAlreadyInAuction, InvalidInput.
    """
    formats = await read_open_formats(stores.db, goods.listing_id)
    is_reverse = rules_of(terms.format, terms.quantity).descending
    if formats and (is_reverse or "reverse" in formats):
        raise ListingAlreadyInAuction("A reverse auction is the only one of its listing")
    if goods.saleable >= terms.quantity:
        return
    if goods.auctioned and not formats:
        raise ListingAlreadyInAuction("Its last auction is being settled: try again in a second")
    if formats and not goods.saleable:
        raise ListingAlreadyInAuction(saleable=0)
    raise refuse("quantity", f"The listing has {goods.saleable} to sell")


async def _hold_goods(
    goods: Goods, terms: SaleTerms, auction_id: UUID, stores: Stores, now_ms: int
) -> list[MovedStock]:
    """Hold the quantity that the auction sells; nothing of what says what is wanted."""
    if rules_of(terms.format, terms.quantity).descending:
        return []
    return [await hold_for_auction(stores.db, goods, auction_id, terms.quantity, now_ms)]


async def _insert(
    command: OpenAuction, terms: SaleTerms, auction_id: UUID, stores: Stores, now_ms: int
) -> None:
    state = open_state(terms, now_ms)
    soft, fall, mechanism = terms.soft_close, terms.fall, rules_of(terms.format, terms.quantity).bid_mechanism
    columns = [
        auction_id,
        command.listing_id,
        terms.seller_id,
        command.format,
        command.currency,
        terms.starting_price,
        terms.reserve_price,
        terms.buy_now_price,
        terms.starts_at_ms,
        terms.ends_at_ms,
        terms.steps.limits,
        terms.steps.steps,
        [soft.window_ms, soft.extend_ms, soft.max_extensions] if soft else None,
        os.urandom(16),
        [fall.floor_price, fall.step, fall.tick_ms] if fall else None,
        new_sealed_key(stores.need(Vault), auction_id) if mechanism == "sealed" else None,
        terms.group_id,
        terms.quantity,
        state.status,
        state.event_number,
        state.price,
        state.minimum_bid,
        state.leader_id,
        state.leader_max,
        state.bid_count,
        state.ends_at_ms,
        state.extensions,
    ]
    await insert_auction(stores.db, columns)


async def _check_group_size(stores: Stores, seller_id: UUID, group_id: UUID | None) -> None:
    """Every late bid locks its whole group, so groups are bounded. Raises InvalidInput."""
    if group_id is None or len(await find_group_auctions(stores.db, [(seller_id, group_id)])) < GROUP_MAX:
        return
    detail = f"A group has at most {GROUP_MAX} open lots"
    raise InvalidInput(detail, errors=[{"pointer": "/group_id", "detail": detail}])


def _check(command: OpenAuction, seller_id: UUID, default: Steps | None, now_ms: int) -> SaleTerms:
    """Return the terms a command asks for. Raises InvalidInput with a pointer to every field that does not fit."""
    starts_at_ms = now_ms if command.starts_at is None else max(to_instant(command.starts_at), now_ms)
    ends_at_ms = to_instant(command.ends_at)
    steps, errors = _read_steps(command, default)
    errors = [
        *_check_prices(command),
        *_check_format(command),
        *_check_times(command, ends_at_ms - starts_at_ms, now_ms),
        *errors,
    ]
    if errors or steps is None:
        raise InvalidInput(errors[0][1], errors=[{"pointer": f"/{f}", "detail": d} for f, d in errors])
    soft, dutch = command.soft_close, command.dutch
    late = SoftCloseTerms(soft.window_s * 1000, soft.extend_s * 1000, soft.max_extensions) if soft else None
    return SaleTerms(
        seller_id=seller_id,
        starting_price=command.starting_price,
        reserve_price=command.reserve_price,
        buy_now_price=command.buy_now_price,
        starts_at_ms=starts_at_ms,
        ends_at_ms=ends_at_ms,
        steps=steps,
        soft_close=late,
        format=command.format,
        fall=Fall(dutch.floor_price, dutch.step, dutch.tick_s * 1000) if dutch else None,
        group_id=command.group_id,
        quantity=command.quantity,
        exposure_guard=command.exposure_guard or command.wallet_guard,
        wallet_guard=command.wallet_guard,
        needs_approval=command.bidders == "approved",
        deposit=command.deposit,
    )


def _read_steps(command: OpenAuction, default: Steps | None) -> tuple[Steps | None, list[Error]]:
    """Return the increment table, or why there is none."""
    if default is None:
        return None, [("currency", UNKNOWN_CURRENCY)]
    if command.increments == "default":
        return default, []
    try:
        return custom_steps(command.increments), []
    except ValueError as error:
        return None, [("increments", f"Increments: {error}")]


def _check_prices(command: OpenAuction) -> Iterator[Error]:
    reserve = command.reserve_price
    if rules_of(command.format, command.quantity).descending:
        if reserve is not None and reserve > command.starting_price:
            yield "reserve_price", "The reserve of a reverse auction must be at most the starting price"
    elif reserve is not None and reserve < command.starting_price:
        yield "reserve_price", "The reserve must be at least the starting price"
    if command.buy_now_price is not None and command.buy_now_price <= command.starting_price:
        yield "buy_now_price", "The buy-now price must be above the starting price"
    least_price = command.dutch.floor_price if command.dutch else command.starting_price
    if fault := deposit_fault(command.deposit, command.currency, least_price):
        yield "deposit", fault


def _check_format(command: OpenAuction) -> Iterator[Error]:
    """Yield the terms that the format does not know, or that it lacks."""
    rules = rules_of(command.format, command.quantity)
    if "dutch" in rules.supported_terms:
        if command.dutch is None:
            yield "dutch", "A Dutch auction needs the terms of its fall"
        elif command.dutch.floor_price >= command.starting_price:
            yield "dutch/floor_price", "The floor must be below the starting price"
    unset = {"increments": "default", "quantity": 1, "exposure_guard": False, "wallet_guard": False}
    for term in rules.refused_terms:
        if getattr(command, term) != unset.get(term):
            yield term, rules.unsupported.get(term) or f"{rules.name} auction {_UNKNOWN_TERMS[term]}"


def _check_times(command: OpenAuction, duration_ms: int, now_ms: int) -> Iterator[Error]:
    if command.starts_at is not None:
        ahead_ms = to_instant(command.starts_at) - now_ms
        if not -START_TOLERANCE_MS <= ahead_ms <= DURATION_MAX_MS:
            yield "starts_at", "The start must be now or within 90 days"
    if not DURATION_MIN_MS <= duration_ms <= DURATION_MAX_MS:
        yield "ends_at", "The end must be in the future, one second to 90 days after the start"
    if command.group_id is not None and command.soft_close is None:
        yield "group_id", "Lots of a group close softly: give soft_close"
