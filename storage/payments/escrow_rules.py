"""What a step does to an escrow, and when it is refused. Pure: no clock, no database.

An escrow has what its lines have left. A step moves parts of lines to those whom the lines are for, or back to who
paid; a frozen one moves nothing but by `ResolveEscrow`, which ends it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from protocols.payments.deals import DealKind
from protocols.payments.escrows import (
    EscrowChangeKind,
    EscrowPart,
    EscrowRole,
    EscrowStatus,
    EscrowStep,
    FreezeEscrow,
    OpenEscrow,
    RefundEscrow,
    ReleaseEscrow,
    ResolveEscrow,
    UnfreezeEscrow,
)
from protocols.payments.refusals import EscrowFrozen, EscrowNotFrozen, EscrowReleased, EscrowTooSmall
from storage.payments.rounding_rules import allocate

HOLD_MAX_MS = 90 * 86_400_000
"""Nobody's money is kept for longer than this: card processors allow no more."""

MARKET_ROLES = frozenset({"commission", "tax"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowRow:
    """An escrow as the table keeps it."""

    escrow_id: UUID
    kind: DealKind
    ref: UUID
    payer_id: UUID
    currency: str
    amount_minor: int
    released_minor: int
    refunded_minor: int
    status: EscrowStatus
    commission_version: int
    opened_at_ms: int
    ends_at_ms: int
    frozen_at_ms: int | None
    version: int

    @property
    def left_minor(self) -> int:
        """What is in it."""
        return self.amount_minor - self.released_minor - self.refunded_minor

    @property
    def guard_at_ms(self) -> int:
        """When even a frozen escrow ends."""
        return self.opened_at_ms + HOLD_MAX_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowLineRow:
    """A line as the table keeps it."""

    escrow_id: UUID
    line: int
    role: EscrowRole
    user_id: UUID | None
    amount_minor: int
    released_minor: int
    refunded_minor: int

    @property
    def left_minor(self) -> int:
        """What of it is in the escrow."""
        return self.amount_minor - self.released_minor - self.refunded_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    """An escrow and its lines in order."""

    row: EscrowRow
    lines: tuple[EscrowLineRow, ...]

    @property
    def parties(self) -> list[UUID]:
        """Who paid, and whom it is for; each once."""
        receivers = (line.user_id for line in self.lines if line.user_id is not None)
        return list(dict.fromkeys([self.row.payer_id, *receivers]))

    @property
    def receivers(self) -> set[UUID]:
        """The people whom it is for."""
        return {line.user_id for line in self.lines if line.user_id is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A step that was taken: the escrow after it, and what leaves it, by line."""

    escrow: Escrow
    change: EscrowChangeKind
    released: tuple[EscrowPart, ...] = ()
    refunded: tuple[EscrowPart, ...] = ()

    @property
    def amount_minor(self) -> int:
        """What the step moves."""
        if self.change == "opened":
            return self.escrow.row.amount_minor
        return sum(part.amount for part in (*self.released, *self.refunded))


def open_escrow(step: OpenEscrow, now_ms: int) -> Taken:
    """Return the escrow of a deal; AssertionError for one that no caller may build."""
    assert step.lines, "an escrow is for somebody"
    assert all(line.amount_minor > 0 for line in step.lines), "a line has an amount"
    assert all((line.user_id is None) == (line.role in MARKET_ROLES) for line in step.lines), "whom it is for"
    assert now_ms < step.ends_at_ms <= now_ms + HOLD_MAX_MS, "an escrow has an end, within 90 days"
    row = EscrowRow(
        escrow_id=step.escrow_id,
        kind=step.kind,
        ref=step.ref,
        payer_id=step.payer_id,
        currency=step.currency,
        amount_minor=sum(line.amount_minor for line in step.lines),
        released_minor=0,
        refunded_minor=0,
        status="open",
        commission_version=step.commission_version,
        opened_at_ms=now_ms,
        ends_at_ms=step.ends_at_ms,
        frozen_at_ms=None,
        version=1,
    )
    lines = tuple(
        EscrowLineRow(
            escrow_id=step.escrow_id,
            line=place,
            role=terms.role,
            user_id=terms.user_id,
            amount_minor=terms.amount_minor,
            released_minor=0,
            refunded_minor=0,
        )
        for place, terms in enumerate(step.lines)
    )
    return Taken(escrow=Escrow(row=row, lines=lines), change="opened")


def take_step(escrow: Escrow, step: EscrowStep, now_ms: int) -> Taken:
    """Return what a step does to an escrow that is there.

    Raises: EscrowFrozen, EscrowReleased, EscrowTooSmall, EscrowNotFrozen.
    """
    row = escrow.row
    if row.status not in {"open", "frozen"}:
        raise EscrowReleased(escrow_status=row.status)
    match step:
        case FreezeEscrow():
            _check_open(row)
            return _with(escrow, "frozen", status="frozen", frozen_at_ms=now_ms)
        case UnfreezeEscrow():
            return _unfreeze(escrow, now_ms)
        case ReleaseEscrow():
            _check_open(row)
            return _move(escrow, "released", released=_parts(escrow, step.parts))
        case RefundEscrow():
            _check_open(row)
            return _move(escrow, "refunded", refunded=_parts(escrow, step.parts))
        case ResolveEscrow():
            _frozen_since(row)
            released = _parts(escrow, step.released)
            return _move(escrow, "resolved", released=released, refunded=_rest(escrow, released))
        case OpenEscrow():
            raise AssertionError("an escrow is opened once")


def spread(lines: Sequence[EscrowLineRow], amount_minor: int) -> tuple[EscrowPart, ...]:
    """Return an amount as parts of all lines, in proportion to what they have left.

    Raises: EscrowTooSmall.
    """
    left = [line.left_minor for line in lines]
    if amount_minor > sum(left):
        raise EscrowTooSmall("The escrow has less left than this", left=sum(left))
    shares = allocate(amount_minor, left)
    return tuple(
        EscrowPart(line=line.line, amount=share) for line, share in zip(lines, shares, strict=True) if share
    )


def _check_open(row: EscrowRow) -> None:
    if row.status == "frozen":
        raise EscrowFrozen


def _frozen_since(row: EscrowRow) -> int:
    """Return since when it is frozen. Raises EscrowNotFrozen."""
    if row.frozen_at_ms is None:
        raise EscrowNotFrozen
    return row.frozen_at_ms


def _with(escrow: Escrow, change: EscrowChangeKind, **fields: object) -> Taken:
    row = replace(escrow.row, version=escrow.row.version + 1, **fields)  # type: ignore[arg-type]
    return Taken(escrow=replace(escrow, row=row), change=change)


def _unfreeze(escrow: Escrow, now_ms: int) -> Taken:
    """Go on: the time that it was frozen is added to its end, up to the guard."""
    row = escrow.row
    stood_still_ms = max(0, now_ms - _frozen_since(row))
    ends_at_ms = min(row.ends_at_ms + stood_still_ms, row.guard_at_ms)
    return _with(escrow, "unfrozen", status="open", frozen_at_ms=None, ends_at_ms=ends_at_ms)


def _parts(escrow: Escrow, asked: Iterable[EscrowPart] | None) -> tuple[EscrowPart, ...]:
    """Return what is taken, each line at most once. Raises EscrowTooSmall."""
    if asked is None:
        return _rest(escrow, ())
    wanted: dict[int, int] = {}
    for part in asked:
        wanted[part.line] = wanted.get(part.line, 0) + part.amount
    for line, amount in wanted.items():
        left = escrow.lines[line].left_minor if line < len(escrow.lines) else 0
        if amount > left:
            raise EscrowTooSmall(line=line, left=left, currency=escrow.row.currency)
    return tuple(EscrowPart(line=line, amount=amount) for line, amount in sorted(wanted.items()))


def _rest(escrow: Escrow, taken: Iterable[EscrowPart]) -> tuple[EscrowPart, ...]:
    gone = {part.line: part.amount for part in taken}
    left = ((line.line, line.left_minor - gone.get(line.line, 0)) for line in escrow.lines)
    return tuple(EscrowPart(line=line, amount=amount) for line, amount in left if amount)


def _move(
    escrow: Escrow,
    change: EscrowChangeKind,
    released: tuple[EscrowPart, ...] = (),
    refunded: tuple[EscrowPart, ...] = (),
) -> Taken:
    """Take parts off their lines; an escrow with nothing left is over."""
    out = {part.line: part.amount for part in released}
    back = {part.line: part.amount for part in refunded}
    lines = tuple(
        replace(
            line,
            released_minor=line.released_minor + out.get(line.line, 0),
            refunded_minor=line.refunded_minor + back.get(line.line, 0),
        )
        for line in escrow.lines
    )
    released_minor = sum(line.released_minor for line in lines)
    refunded_minor = sum(line.refunded_minor for line in lines)
    status = escrow.row.status
    if released_minor + refunded_minor == escrow.row.amount_minor:
        status = (
            "split" if released_minor and refunded_minor else "released" if released_minor else "refunded"
        )
    row = replace(
        escrow.row,
        released_minor=released_minor,
        refunded_minor=refunded_minor,
        status=status,
        frozen_at_ms=escrow.row.frozen_at_ms if status in {"open", "frozen"} else None,
        version=escrow.row.version + 1,
    )
    return Taken(escrow=Escrow(row=row, lines=lines), change=change, released=released, refunded=refunded)
