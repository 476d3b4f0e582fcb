"""The words of second-chance offers on the wire: a closed auction's seller offers to those who did not get it."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal
from protocols.values import Currency, Cursor, Key, PageLimit, Timestamp

OfferStatus = Literal["open", "accepted", "declined", "expired", "withdrawn"]
Units = Annotated[int, Meta(ge=1, le=100)]
"""Units of one offer."""

# -- Commands and queries ------------------------------------------------------------------------------------


class OfferSecondChance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Offer to a bidder who did not get your closed auction, at that bidder's own best bid.

    Name the bidder by a bid, or by the place among those who did not get it (1: the runner-up). Best is the highest
    bid; in a reverse auction the lowest: the job at the bidder's own price. Of several units the last bid counts, and
    who got fewer than asked for is among those who did not get it.
    """

    auction_id: UUID
    bid_id: UUID | None = None
    nth: Annotated[int, Meta(ge=1, le=1000)] | None = None
    another_piece: bool = False
    """Of a sold auction: the sale stands, and these are other pieces of the same listing."""
    expires_in_s: Annotated[int, Meta(ge=3_600, le=604_800)] = 172_800
    """One hour to seven days; two days unless given."""
    key: Key = ""
    quantity: Units | None = None
    """Units offered; unless given as many as there are and the bidder still lacks."""


class AcceptSecondChance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buy at the price of an offer made to you, of a reverse auction do the job for it; all of its units or none."""

    offer_id: UUID
    key: Key = ""


class DeclineSecondChance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Turn down an offer made to you."""

    offer_id: UUID


class WithdrawSecondChance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take back an offer you made that was not accepted yet."""

    offer_id: UUID


class ListSecondChances(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read offers made to you, or those you made, newest first."""

    role: Literal["bidder", "seller"] = "bidder"
    status: OfferStatus | None = None
    limit: PageLimit = 50
    cursor: Cursor | None = None


# -- Replies -------------------------------------------------------------------------------------------------


class SecondChance(Struct, frozen=True, kw_only=True):
    """An offer as its bidder or its seller sees it."""

    id: UUID
    auction_id: UUID
    listing_id: UUID
    status: OfferStatus
    bidder: str
    """The mask the bidder has in the auction."""
    buyer_id: UUID | None
    """Once accepted; of a reverse auction who does the job."""
    price: int | None
    """The bidder's own best bid, for each unit; its seller is told once it is accepted."""
    currency: Currency
    quantity: int = 1
    another_piece: bool
    offered_at: Timestamp
    expires_at: Timestamp


class SecondChanceList(Struct, frozen=True, kw_only=True):
    """One page of offers."""

    items: list[SecondChance]
    next_cursor: str | None


# -- Events on `personal:#<user_id>` -------------------------------------------------------------------------


class SecondChanceOffered(Struct, frozen=True, kw_only=True):
    """You did not get this auction, and can still have the thing (in a reverse auction, the job) at your own bid."""

    offer_id: UUID
    auction_id: UUID
    title: str
    """Of the goods."""
    listing_id: UUID
    price: int
    """For each unit."""
    currency: Currency
    expires_at: Timestamp
    quantity: int = 1


class SecondChanceChanged(Struct, frozen=True, kw_only=True):
    """An offer you made or got is not open any more; price and buyer are told of an accepted one."""

    offer_id: UUID
    auction_id: UUID
    title: str
    """Of the goods."""
    listing_id: UUID
    status: OfferStatus
    price: int | None
    buyer_id: UUID | None
    currency: Currency
    quantity: int = 1


PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "second_chance_offered": SecondChanceOffered,
    "second_chance_changed": SecondChanceChanged,
}
"""Event types on `personal:#<user_id>`."""


# -- Refusals ------------------------------------------------------------------------------------------------


class SecondChanceUnavailable(Refusal):
    """This auction has nothing, or nobody, to offer a second chance to."""

    code, number, status = "second_chance_unavailable", 729, 409


class SecondChanceNotOpen(Refusal):
    """This offer was decided, has expired, or there is nothing left to sell."""

    code, number, status = "second_chance_not_open", 730, 409
    example: ClassVar[dict[str, Any]] = {"offer_status": "withdrawn"}


class SecondChanceNotFound(Refusal):
    """There is no offer with this id made to you or by you."""

    code, number, status = "second_chance_not_found", 731, 404
