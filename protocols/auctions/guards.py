"""The words of auctions' guards on the wire: exposure, approved bidders, blocked bidders, a sale before the end."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal
from protocols.values import Currency, Cursor, PageLimit, Timestamp

Bidders = Literal["anyone", "approved"]
ApprovalStatus = Literal["requested", "approved", "rejected", "revoked"]

Note = Annotated[str, Meta(max_length=500)]
"""A sentence from one user to another."""

Reason = Annotated[str, Meta(min_length=1, max_length=500)]
"""Why; the one it concerns is told."""

LimitMinor = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]
"""A number of minor units that may be zero."""

# -- Commands and queries ------------------------------------------------------------------------------------


class GetExposure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read how much you lead with in guarded auctions of a currency, and how much you may."""

    currency: Currency


class SetExposureLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give a user a limit in a currency; without one the default holds again.

    A limit below what is used takes no bid away: nothing is free until enough of them have ended or were outbid.
    """

    user_id: UUID
    currency: Currency
    limit: LimitMinor | None = None


class RequestApproval(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask the seller of an auction of approved bidders to let you bid; asking again changes nothing."""

    auction_id: UUID
    message: Note = ""


class ApproveBidder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let one who asked bid in your auction; also after a rejection or revocation."""

    auction_id: UUID
    bidder_id: UUID


class RejectBidder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Do not let one who asked bid in your auction; you may approve later."""

    auction_id: UUID
    bidder_id: UUID
    reason: Reason


class RevokeBidder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take an approval back. The bidder's standing bids go with it, while at least twelve hours are left."""

    auction_id: UUID
    bidder_id: UUID
    reason: Reason


class ListBidders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read who asked to bid in your auction, in the order they asked."""

    auction_id: UUID
    status: ApprovalStatus | None = None
    limit: PageLimit = 50
    cursor: Cursor | None = None


class BlockBidder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keep somebody out of all your auctions, now and later: a user you know, or a mask you see in an auction of yours.

    Standing bids stay; no new ones are taken.
    """

    bidder_id: UUID | None = None
    auction_id: UUID | None = None
    bidder: Annotated[str, Meta(max_length=64)] | None = None
    """The mask, with its `auction_id`."""
    reason: Note = ""
    """For yourself; the bidder is not told."""


class ListBlocks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read whom you keep out, in the order you did it."""

    limit: PageLimit = 50
    cursor: Cursor | None = None


class UnblockBidder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let somebody bid in your auctions again."""

    block_id: UUID


class EndEarly(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End an own English or reverse auction at once by a sale to who leads, at the price of now, reserve or not.

    Of several units, to everybody who gets some as things stand.
    """

    auction_id: UUID


# -- Replies -------------------------------------------------------------------------------------------------


class Exposure(Struct, frozen=True, kw_only=True):
    """What a user may lead with in all guarded auctions of a currency together."""

    user_id: UUID
    currency: Currency
    limit: int
    used: int
    """The sum of the maxima of the bids that lead now; of several units, for all that such a bid asks for."""
    free: int
    """What the next bid may add; zero when a lowered limit is below what is used."""
    is_default: bool
    """The limit is the one that everybody has."""


class Approval(Struct, frozen=True, kw_only=True):
    """Where a bidder stands with an auction of approved bidders."""

    auction_id: UUID
    bidder_id: UUID
    bidder: str
    """The mask this bidder has in the auction."""
    status: ApprovalStatus
    message: str
    reason: str
    """Of the rejection or revocation."""
    requested_at: Timestamp
    decided_at: Timestamp | None


class BidderList(Struct, frozen=True, kw_only=True):
    """One page of bidders."""

    items: list[Approval]
    next_cursor: str | None


class Block(Struct, frozen=True, kw_only=True):
    """Somebody a seller keeps out."""

    id: UUID
    bidder_id: UUID | None
    """None for one who was blocked by mask and stays masked."""
    auction_id: UUID | None
    bidder: str | None
    """The mask, in that auction."""
    reason: str
    at: Timestamp


class BlockList(Struct, frozen=True, kw_only=True):
    """One page of blocks."""

    items: list[Block]
    next_cursor: str | None


# -- Events on `personal:#<user_id>` -------------------------------------------------------------------------


class ExposureLimitChanged(Struct, frozen=True, kw_only=True):
    """You may lead with another sum in guarded auctions of this currency."""

    currency: Currency
    limit: int
    used: int
    free: int


class ApprovalRequested(Struct, frozen=True, kw_only=True):
    """Somebody asks to bid in your auction."""

    auction_id: UUID
    title: str
    """Of the goods."""
    currency: Currency
    bidder_id: UUID
    message: str


class ApprovalChanged(Struct, frozen=True, kw_only=True):
    """The seller decided whether you may bid in this auction."""

    auction_id: UUID
    title: str
    """Of the goods."""
    currency: Currency
    status: ApprovalStatus
    reason: str


class BidsTakenBack(Struct, frozen=True, kw_only=True):
    """Bids of yours went without your asking: what you have free does not cover them, or the seller revoked you."""

    auction_id: UUID
    title: str
    """Of the goods."""
    currency: Currency
    reason: Literal["not_covered", "bidder_revoked"]
    retracted: int
    """How many."""


class BidderBlocked(Struct, frozen=True, kw_only=True):
    """You keep somebody out of your auctions (told to you on all your devices, not to the bidder)."""

    block_id: UUID


class BidderUnblocked(Struct, frozen=True, kw_only=True):
    """You let somebody bid in your auctions again."""

    block_id: UUID


PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "exposure_limit_changed": ExposureLimitChanged,
    "approval_requested": ApprovalRequested,
    "approval_changed": ApprovalChanged,
    "bids_taken_back": BidsTakenBack,
    "bidder_blocked": BidderBlocked,
    "bidder_unblocked": BidderUnblocked,
}
"""Event types on `personal:#<user_id>`."""


# -- Refusals ------------------------------------------------------------------------------------------------


class ExposureExceeded(Refusal):
    """The maxima you lead with in guarded auctions would exceed your limit; bid less, or wait until some are free."""

    code, number, status = "exposure_exceeded", 720, 409
    example: ClassVar[dict[str, Any]] = {"limit": 10_000_00, "used": 9_500_00, "free": 500_00}


class BidderNotApproved(Refusal):
    """The seller lets approved bidders alone bid here; ask with `auctions.request_approval`."""

    code, number, status = "bidder_not_approved", 721, 403
    example: ClassVar[dict[str, Any]] = {"approval": "requested"}


class BidderIsBlocked(Refusal):
    """This seller does not take bids from you."""

    code, number, status = "bidder_blocked", 722, 403


class ApprovalNotNeeded(Refusal):
    """Anyone may bid in this auction; nobody has to be approved."""

    code, number, status = "approval_not_needed", 723, 409


class BidderNotFound(Refusal):
    """Nobody with this id asked to bid here, or the request does not allow this decision."""

    code, number, status = "bidder_not_found", 724, 404


class BidderNotRevocable(Refusal):
    """This bidder has standing bids that cannot be cancelled any more; no new ones can be stopped without them."""

    code, number, status = "bidder_not_revocable", 725, 409


class BlockNotFound(Refusal):
    """You have no block with this id."""

    code, number, status = "block_not_found", 726, 404


class TooManyBlocks(Refusal):
    """You keep out as many bidders as you can; let one in again first."""

    code, number, status = "too_many_blocks", 727, 409


class AuctionNotEndable(Refusal):
    """Only an English or reverse auction that somebody leads can be ended by a sale; cancel it instead."""

    code, number, status = "auction_not_endable", 728, 409
