"""Deposits as bids meet them: a bidder's first bid takes one, in the transaction of the bid.

An auction without a deposit costs nothing; a batch with one costs two round trips, and about eight more when deposits
are taken. Lock order: auctions, exposures, accounts.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from msgspec import Struct

from handlers.auctions.deposits.rules import kept_until
from handlers.auctions.locking import LockedAuction
from handlers.contract import Call, Event, Timer
from protocols.auctions.commands import PlaceBid
from protocols.auctions.deposits import DepositRequired, DepositTaken
from protocols.payments.postings import EXPIRE_HOLD, Hold
from protocols.payments.refusals import AccountFrozen, InsufficientFunds
from protocols.topics import personal_channel
from protocols.values import new_id
from storage.auctions.deposits_postgres import NewDepositRow, find_deposits, insert_deposits
from storage.engines.postgres import Connection
from storage.payments.posting import post
from storage.payments.wallets import Pair, WalletRow, lock_wallets

Attempt = tuple[UUID, UUID]
"""An auction and a bidder."""


class TakenDeposit(Struct, frozen=True):
    """What an accepted bid that took a deposit adds to its outcome."""

    event: Event
    timer: Timer


class Deposits:
    """The deposits of one batch: who has one, what the others may spend, and what is taken."""

    __slots__ = ("_frozen", "_known", "_rows", "_spendable", "_steps")

    def __init__(self, known: set[Attempt], wallets: Mapping[Pair, WalletRow]) -> None:
        """Start from those who have one, and from the locked wallets of those who have none."""
        self._known = known
        self._spendable = {pair: wallet.available_minor for pair, wallet in wallets.items()}
        self._frozen = {pair for pair, wallet in wallets.items() if wallet.frozen}
        self._rows: list[NewDepositRow] = []
        self._steps: list[Hold] = []

    def check(self, auction: LockedAuction, call: Call[PlaceBid]) -> None:
        """Let a bid pass whose bidder has a deposit, or agrees to one and can pay it.

        Raises DepositRequired, AccountFrozen, InsufficientFunds.
        """
        deposit, currency = self._missing(auction, call.caller.id), auction.terms.currency
        if not deposit:
            return
        if call.command.deposit != deposit:
            raise DepositRequired(deposit=deposit, currency=currency)
        if (call.caller.id, currency) in self._frozen:
            raise AccountFrozen
        available = self._spendable[call.caller.id, currency]
        if available < deposit:
            raise InsufficientFunds(available=available, currency=currency)

    def take(self, auction: LockedAuction, call: Call[PlaceBid]) -> TakenDeposit | None:
        """Note the deposit of an accepted bid, if it is the bidder's first; `check` has passed it."""
        terms, bidder = auction.terms, call.caller.id
        deposit = 0 if (terms.auction_id, bidder) in self._known else terms.sale.deposit
        if not deposit:
            return None
        self._known.add((terms.auction_id, bidder))
        self._spendable[bidder, terms.currency] -= deposit
        deposit_id, until_ms = new_id(), kept_until(terms.sale)
        self._steps.append(
            Hold(
                hold_id=deposit_id,
                owner_id=bidder,
                currency=terms.currency,
                amount_minor=deposit,
                ref=terms.auction_id,
                expires_at_ms=until_ms,
            )
        )
        self._rows.append(
            NewDepositRow(
                deposit_id=deposit_id,
                auction_id=terms.auction_id,
                bidder_id=bidder,
                amount_minor=deposit,
                at_ms=call.at_ms,
            )
        )
        taken = DepositTaken(
            auction_id=terms.auction_id, title=terms.title, deposit=deposit, currency=terms.currency
        )
        return TakenDeposit(
            Event(personal_channel(bidder), "deposit_taken", taken), Timer(EXPIRE_HOLD, deposit_id, until_ms)
        )

    async def write(self, db: Connection, now_ms: int) -> None:
        """Take what was noted. Cost: about seven round trips, none without a new deposit."""
        if not self._steps:
            return
        answers = await post(db, [[step] for step in self._steps], now_ms)
        assert not any(answers), "these accounts are locked and have enough"
        await insert_deposits(db, self._rows)

    def _missing(self, auction: LockedAuction, bidder: UUID) -> int:
        """Return what a bidder has to deposit; nothing where the bid is refused for another reason."""
        terms, state = auction.terms, auction.state
        if terms.sale.deposit is None or (terms.auction_id, bidder) in self._known:
            return 0
        return 0 if state.status != "live" or bidder == terms.sale.seller_id else terms.sale.deposit


async def read_deposits(
    db: Connection, auctions: Mapping[UUID, LockedAuction], calls: Collection[Call[PlaceBid]]
) -> Deposits | None:
    """Return what bids on these locked auctions have to know of deposits; None when none of them asks for one."""
    asking = {i: auction.terms for i, auction in auctions.items() if auction.terms.sale.deposit is not None}
    tried = {(c.command.auction_id, c.caller.id) for c in calls if c.command.auction_id in asking}
    if not tried:
        return None
    known = await find_deposits(db, tried)
    return Deposits(known, await lock_wallets(db, ((who, asking[i].currency) for i, who in tried - known)))
