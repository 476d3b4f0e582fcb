"""Escrows' one entry: whoever opens, releases, refunds or freezes one does it here, inside a transaction of its own.

A freeze and a release lock the same row, so a freeze that has committed is seen by every release after it on every
process, at once. Locks, in this order: openings by id, escrows by id, then those of `posting.post`. Killed before the
commit, nothing happened; killed after it, the repeat finds its step and does nothing.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from protocols.errors import Refusal
from protocols.payments.deals import Quote
from protocols.payments.escrows import (
    EscrowChangeKind,
    EscrowStep,
    FreezeEscrow,
    LineTerms,
    OpenEscrow,
    RefundEscrow,
    ReleaseEscrow,
    ResolveEscrow,
    UnfreezeEscrow,
)
from protocols.payments.events import EscrowNotice
from protocols.payments.facts import EscrowChanged
from protocols.payments.postings import PLATFORM, Account, HoldPart, PostHold, Reason, Step, Transfer
from protocols.payments.refusals import EscrowNotFound, HoldNotFound, TransferDiffers
from protocols.values import new_id, to_json, to_timestamp
from storage.engines.postgres import Connection
from storage.payments.escrow_rules import (
    MARKET_ROLES,
    Escrow,
    EscrowLineRow,
    Taken,
    open_escrow,
    take_step,
)
from storage.payments.escrows_postgres import (
    StepRow,
    insert_escrows,
    insert_steps,
    lock_escrows,
    lock_openings,
    read_steps,
    update_escrows,
)
from storage.payments.posting import post
from storage.payments.posting_rules import HoldRow, available
from storage.payments.transfers_postgres import lock_holds

END_ESCROW = "end_escrow"
"""The timer that a change wants at its `due_at_ms`; its ref is the escrow."""

_RELEASE_REASONS: dict[str, Reason] = {
    "seller": "sale",
    "traveller": "delivery",
    "commission": "commission",
    "tax": "tax",
}

_CHANGES: dict[type[Struct], EscrowChangeKind] = {
    OpenEscrow: "opened",
    ReleaseEscrow: "released",
    RefundEscrow: "refunded",
    FreezeEscrow: "frozen",
    UnfreezeEscrow: "unfrozen",
    ResolveEscrow: "resolved",
}


class EscrowChange(Struct, frozen=True, kw_only=True):
    """A step that was taken, now or before. Who asked for it announces it unless it is `repeated`."""

    escrow: Escrow
    """As it is now."""
    change: EscrowChangeKind
    amount_minor: int
    """What the step moved."""
    repeated: bool
    """It was taken before, and everybody was told."""

    @property
    def event_type(self) -> str:
        """The type of the personal event that every party gets."""
        return f"escrow_{self.change}"

    @property
    def due_at_ms(self) -> int | None:
        """When the timer `end_escrow` is set for; None when it is set already, or nothing is left."""
        if self.change == "frozen":
            return self.escrow.row.guard_at_ms
        return self.escrow.row.ends_at_ms if self.change in {"opened", "unfrozen"} else None

    def to_notice(self) -> EscrowNotice:
        """Return what every party is told."""
        row = self.escrow.row
        return EscrowNotice(
            escrow_id=row.escrow_id,
            kind=row.kind,
            ref=row.ref,
            status=row.status,
            version=row.version,
            currency=row.currency,
            amount=row.amount_minor,
            moved=self.amount_minor,
            released=row.released_minor,
            refunded=row.refunded_minor,
            left=row.left_minor,
            ends_at=to_timestamp(row.ends_at_ms),
        )

    def to_fact(self) -> EscrowChanged:
        """Return what other domains are told."""
        row = self.escrow.row
        return EscrowChanged(
            escrow_id=row.escrow_id,
            kind=row.kind,
            ref=row.ref,
            change=self.change,
            status=row.status,
            currency=row.currency,
            amount_minor=self.amount_minor,
            released_minor=row.released_minor,
            refunded_minor=row.refunded_minor,
            left_minor=row.left_minor,
        )


EscrowAnswer = EscrowChange | Refusal


def lines_of_quote(quote: Quote, seller_id: UUID) -> tuple[LineTerms, ...]:
    """Return the lines of a deal with one receiver: what is left for the seller, the commission, the tax on it."""
    lines = (
        LineTerms(role="seller", user_id=seller_id, amount_minor=quote.net_minor),
        LineTerms(role="commission", user_id=None, amount_minor=quote.fee_minor),
        LineTerms(role="tax", user_id=None, amount_minor=quote.tax_minor),
    )
    return tuple(line for line in lines if line.amount_minor)


async def change_escrows(db: Connection, steps: Sequence[EscrowStep], now_ms: int) -> list[EscrowAnswer]:
    """Take steps in their order, each whole or not at all; return for each the change, or why it was refused.

    A refusal is one of EscrowNotFound, EscrowFrozen, EscrowReleased, EscrowTooSmall, EscrowNotFrozen, TransferDiffers,
    or one of `posting.post`. Cost: about twelve round trips for the whole batch; as often for every further step of one
    escrow.
    """
    answers: dict[int, EscrowAnswer] = {}
    while len(answers) < len(steps):
        batch: dict[UUID, int] = {}
        for place, step in enumerate(steps):
            if place not in answers:
                batch.setdefault(step.escrow_id, place)
        chosen = list(batch.values())
        taken = await _take_batch(db, [steps[place] for place in chosen], now_ms)
        answers |= dict(zip(chosen, taken, strict=True))
    return [answers[place] for place in range(len(steps))]


async def _take_batch(db: Connection, steps: Sequence[EscrowStep], now_ms: int) -> list[EscrowAnswer]:
    """Take steps of different escrows."""
    if openings := [step.escrow_id for step in steps if isinstance(step, OpenEscrow)]:
        await lock_openings(db, openings)
    escrows = await lock_escrows(db, [step.escrow_id for step in steps])
    holds = await _lock_named_holds(db, steps)
    # after the locks: who took the same step a moment ago had the same escrow
    known = await read_steps(db, map(_step_id, steps))
    drafts = [
        _strange_hold(step, holds) or _draft(step, escrows.get(step.escrow_id), known, now_ms)
        for step in steps
    ]
    chains = [
        _chain(draft, step) if isinstance(draft, Taken) else []
        for draft, step in zip(drafts, steps, strict=True)
    ]
    parties = {
        draft.escrow.row.escrow_id: draft.escrow.parties for draft in drafts if isinstance(draft, Taken)
    }
    refusals = await post(db, chains, now_ms, parties) if any(chains) else [None] * len(chains)
    answers: list[EscrowAnswer] = []
    taken: list[tuple[EscrowStep, Taken]] = []
    for step, draft, refusal in zip(steps, drafts, refusals, strict=True):
        if not isinstance(draft, Taken):
            answers.append(draft)
        elif refusal is not None:
            answers.append(refusal)
        else:
            taken.append((step, draft))
            answers.append(_to_change(draft))
    await _write(db, taken, now_ms)
    return answers


async def _lock_named_holds(db: Connection, steps: Sequence[EscrowStep]) -> dict[UUID, HoldRow]:
    """Return the holds that openings name. Cost: one round trip, none without one."""
    named = [step.hold_id for step in steps if isinstance(step, OpenEscrow) and step.hold_id is not None]
    return await lock_holds(db, named) if named else {}


def _strange_hold(step: EscrowStep, holds: Mapping[UUID, HoldRow]) -> Refusal | None:
    """Return the refusal of a hold that is not the payer's, or of another currency: it is none for this escrow."""
    if not isinstance(step, OpenEscrow) or step.hold_id is None:
        return None
    hold = holds.get(step.hold_id)
    its_own = hold is not None and (hold.owner_id, hold.currency) == (step.payer_id, step.currency)
    return None if its_own else HoldNotFound()


def _step_id(step: EscrowStep) -> UUID:
    return step.escrow_id if isinstance(step, OpenEscrow) else step.step_id


def _content(step: EscrowStep) -> str:
    """Return what a repeat has to be the same in; when an escrow ends is no part of it."""
    return to_json(replace(step, ends_at_ms=0) if isinstance(step, OpenEscrow) else step).decode()


def _draft(
    step: EscrowStep, escrow: Escrow | None, known: dict[UUID, tuple[str, int]], now_ms: int
) -> Taken | EscrowAnswer:
    """Return what a step would do, the change that it was before, or why it is refused."""
    if (before := known.get(_step_id(step))) is not None:
        content, amount_minor = before
        if content != _content(step) or escrow is None:
            return TransferDiffers()
        return EscrowChange(
            escrow=escrow, change=_CHANGES[type(step)], amount_minor=amount_minor, repeated=True
        )
    if isinstance(step, OpenEscrow):
        assert escrow is None, "the step that opened it is known"
        return open_escrow(step, now_ms)
    if escrow is None:
        return EscrowNotFound()
    try:
        return take_step(escrow, step, now_ms)
    except Refusal as refusal:
        return refusal.with_traceback(None)


def _to_change(draft: Taken) -> EscrowChange:
    return EscrowChange(
        escrow=draft.escrow, change=draft.change, amount_minor=draft.amount_minor, repeated=False
    )


def _chain(draft: Taken, step: EscrowStep) -> list[Step]:
    """Return the movements of a step."""
    row = draft.escrow.row
    account = Account(row.escrow_id, row.currency, "escrow")
    if isinstance(step, OpenEscrow):
        if step.hold_id is None:
            payer = available(row.payer_id, row.currency)
            return [_transfer(payer, account, row.amount_minor, "sale")]
        part = HoldPart(transfer_id=new_id(), credit=account, amount_minor=row.amount_minor, reason="sale")
        return [PostHold(hold_id=step.hold_id, parts=(part,), return_id=new_id())]
    lines = draft.escrow.lines
    released = [
        _transfer(
            account,
            _receiver(lines[part.line], row.currency),
            part.amount,
            _RELEASE_REASONS[lines[part.line].role],
        )
        for part in draft.released
    ]
    back = sum(part.amount for part in draft.refunded)
    refunded = [_transfer(account, available(row.payer_id, row.currency), back, "refund")] if back else []
    return [*released, *refunded]


def _receiver(line: EscrowLineRow, currency: str) -> Account:
    if line.user_id is None:
        assert line.role in MARKET_ROLES, "lines of people name them"
        return Account(PLATFORM, currency, "tax" if line.role == "tax" else "commission")
    return available(line.user_id, currency)


def _transfer(debit: Account, credit: Account, amount_minor: int, reason: Reason) -> Transfer:
    escrow_id = debit.owner_id if debit.purpose == "escrow" else credit.owner_id
    return Transfer(
        transfer_id=new_id(),
        debit=debit,
        credit=credit,
        amount_minor=amount_minor,
        reason=reason,
        ref=escrow_id,
    )


async def _write(db: Connection, taken: Sequence[tuple[EscrowStep, Taken]], now_ms: int) -> None:
    if not taken:
        return
    if opened := [draft.escrow for _, draft in taken if draft.change == "opened"]:
        await insert_escrows(db, opened)
    if moved := [draft.escrow for _, draft in taken if draft.change != "opened"]:
        await update_escrows(db, moved)
    rows = [
        StepRow(
            step_id=_step_id(step),
            escrow_id=draft.escrow.row.escrow_id,
            version=draft.escrow.row.version,
            step=_content(step),
            amount_minor=draft.amount_minor,
            at_ms=now_ms,
        )
        for step, draft in taken
    ]
    await insert_steps(db, rows)
