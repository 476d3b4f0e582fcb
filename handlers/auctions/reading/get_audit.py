"""Read what a third party needs to check an auction: `./mnbara audit-auction` does it from this answer alone."""

from collections.abc import Sequence
from typing import Any

import msgspec

from handlers.auctions.locking import AuctionTerms, read_auction_terms
from handlers.auctions.rules import CLOSE_GRACE_MS, SoftCloseTerms, to_rows
from handlers.auctions.views import to_dutch
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.audits import AuctionAudit, AuditEvent, GetAudit
from protocols.auctions.refusals import AuctionNotFound
from protocols.auctions.terms import SoftClose
from protocols.values import to_timestamp
from storage.auctions.auctions_postgres import AuctionRow, read_auction
from storage.auctions.bids_postgres import read_receipts, read_retractions
from storage.platform.events_postgres import read_events

_decode = msgspec.json.Decoder(dict[str, Any]).decode


async def get_audit(
    command: GetAudit,
    caller: Caller,  # noqa: ARG001 - everybody sees the same
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - facts do not age
) -> Outcome:
    """Return terms, rule table, timer facts and a page of events; nothing secret. Raises AuctionNotFound."""
    row = await read_auction(stores.db, command.auction_id)
    if row is None:
        raise AuctionNotFound
    terms = await read_auction_terms(stores.db, command.auction_id)
    events = await _read_page(command, terms, row.event_number, stores)
    more = bool(events) and events[-1].number < row.event_number
    return Outcome(_to_audit(row, terms, events, events[-1].number if more else None))


async def _read_page(command: GetAudit, terms: AuctionTerms, newest: int, stores: Stores) -> list[AuditEvent]:
    """Return events up to the row's own number: later ones belong to a later row."""
    limit = min(command.limit, max(0, newest - command.after))
    found = await read_events(stores.db, terms.channel, command.after, limit) if limit else []
    if not found:
        return []
    reach = (terms.auction_id, command.after, found[-1][0])
    receipts = await read_receipts(stores.db, *reach)
    retractions = await read_retractions(stores.db, *reach)
    return [
        AuditEvent(
            number=number,
            data=_decode(data),
            received_at=to_timestamp(receipts[number]) if number in receipts else None,
            takes_back=retractions.get(number),
        )
        for number, data, _ in found
    ]


def _to_audit(
    row: AuctionRow, terms: AuctionTerms, events: Sequence[AuditEvent], next_after: int | None
) -> AuctionAudit:
    sale, status = terms.sale, row.status
    opened = terms.rules.bid_mechanism == "sealed" and status in {"sold", "unsold"}
    return AuctionAudit(
        auction_id=terms.auction_id,
        listing_id=terms.listing_id,
        seller_id=sale.seller_id,
        format=sale.format,
        currency=terms.currency,
        starting_price=sale.starting_price,
        has_reserve=sale.reserve_price is not None,
        reserve_price=sale.reserve_price if opened else None,
        buy_now_price=sale.buy_now_price,
        dutch=to_dutch(sale.fall) if sale.fall else None,
        increments=to_rows(sale.steps),
        soft_close=_to_soft_close(sale.soft_close),
        group_id=sale.group_id,
        starts_at=to_timestamp(sale.starts_at_ms),
        planned_end=to_timestamp(sale.ends_at_ms),
        ends_at=to_timestamp(row.ends_at_ms),
        close_grace_ms=CLOSE_GRACE_MS,
        status=status,
        price=row.price,
        winner=row.leader_mask if status == "sold" and sale.quantity == 1 else None,
        bid_count=row.bid_count,
        version=row.event_number,
        events=list(events),
        next_after=next_after,
        quantity=sale.quantity,
    )


def _to_soft_close(soft: SoftCloseTerms | None) -> SoftClose | None:
    if soft is None:
        return None
    return SoftClose(
        window_s=soft.window_ms // 1000, extend_s=soft.extend_ms // 1000, max_extensions=soft.max_extensions
    )
