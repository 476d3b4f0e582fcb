"""What a chain of steps does to the books, and when it is refused. Pure: no clock, no database.

A chain is all or nothing: its steps see one another, and the books after a refusal are those before it. Steps whose
transfers were booked before are passed over, so a repeated chain does nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from protocols.payments.postings import (
    LIMITED,
    Account,
    Hold,
    HoldPart,
    HoldStatus,
    PostHold,
    Reason,
    Step,
    Transfer,
    VoidHold,
)
from protocols.payments.refusals import (
    AccountFrozen,
    BalanceTooLarge,
    HoldEnded,
    HoldExpired,
    HoldNotFound,
    HoldTooSmall,
    InsufficientFunds,
    TransferDiffers,
)
from protocols.values import AMOUNT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """A locked account: its balance, and the number of its last entry."""

    account_id: int
    balance_minor: int
    entries: int
    frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A hold as the table keeps it."""

    hold_id: UUID
    owner_id: UUID
    currency: str
    amount_minor: int
    ref: UUID
    at_ms: int
    expires_at_ms: int
    status: HoldStatus
    posted_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """A transfer as it is written: with its entry's number on both accounts, and the balances after it."""

    transfer_id: UUID
    debit_account: int
    credit_account: int
    amount_minor: int
    reason: str
    ref: UUID
    at_ms: int
    debit_number: int
    debit_balance_minor: int
    credit_number: int
    credit_balance_minor: int
    hold_id: UUID | None


@dataclass(slots=True)
class Books:
    """The accounts, holds and known transfers that a batch of chains may touch; all of them are locked."""

    accounts: dict[Account, AccountRow]
    holds: dict[UUID, HoldRow] = field(default_factory=dict)
    booked: dict[UUID, Transfer] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """What a chain would change; it replaces nothing until the chain is through."""

    accounts: dict[Account, AccountRow] = field(default_factory=dict)
    holds: dict[UUID, HoldRow] = field(default_factory=dict)
    transfers: list[TransferRow] = field(default_factory=list)
    booked: dict[UUID, Transfer] = field(default_factory=dict)


def available(owner_id: UUID, currency: str) -> Account:
    """Return the account of what a user may spend."""
    return Account(owner_id, currency, "available")


def held(owner_id: UUID, currency: str) -> Account:
    """Return the account of what a user's holds have taken."""
    return Account(owner_id, currency, "held")


def accounts_of(chain: Sequence[Step], holds: Mapping[UUID, HoldRow]) -> set[Account]:
    """Return every account that a chain may touch, given the holds it names."""
    found: set[Account] = set()
    for step in chain:
        match step:
            case Transfer():
                found |= {step.debit, step.credit}
            case Hold():
                found |= {available(step.owner_id, step.currency), held(step.owner_id, step.currency)}
            case PostHold() | VoidHold():
                if hold := holds.get(step.hold_id):
                    found |= {available(hold.owner_id, hold.currency), held(hold.owner_id, hold.currency)}
                if isinstance(step, PostHold):
                    found |= {part.credit for part in step.parts}
    return found


def transfer_ids(chain: Sequence[Step]) -> set[UUID]:
    """Return the id of every transfer that a chain may book."""
    found: set[UUID] = set()
    for step in chain:
        match step:
            case Transfer():
                found.add(step.transfer_id)
            case Hold():
                found.add(step.hold_id)
            case PostHold():
                found |= {step.return_id, *(part.transfer_id for part in step.parts)}
            case VoidHold():
                found.add(step.return_id)
    return found


def hold_ids(chain: Sequence[Step]) -> set[UUID]:
    """Return the id of every hold that a chain names."""
    return {step.hold_id for step in chain if not isinstance(step, Transfer)}


def apply_chain(books: Books, chain: Sequence[Step], now_ms: int) -> Draft:
    """Return what a chain changes; the books stay as they are until `accept`.

    Raises: InsufficientFunds, AccountFrozen, HoldNotFound, HoldEnded, HoldExpired, HoldTooSmall, TransferDiffers,
    BalanceTooLarge; AssertionError for a step that no caller may build (two currencies, no amount).
    """
    draft = Draft()
    for step in chain:
        match step:
            case Transfer():
                _move(books, draft, step, now_ms)
            case Hold():
                _hold(books, draft, step, now_ms)
            case PostHold():
                _post(books, draft, step, now_ms)
            case VoidHold():
                _void(books, draft, step, now_ms)
    return draft


def accept(books: Books, draft: Draft) -> None:
    """Let the next chain of the batch see what this one changed."""
    books.accounts.update(draft.accounts)
    books.holds.update(draft.holds)
    books.booked.update(draft.booked)


def _move(books: Books, draft: Draft, step: Transfer, now_ms: int, hold_id: UUID | None = None) -> bool:
    """Book one transfer; return False when it was booked before."""
    assert step.debit.currency == step.credit.currency, "a transfer has one currency"
    assert 1 <= step.amount_minor <= AMOUNT_MAX, "a transfer moves something"
    if booked := _find_booked(books, draft, step.transfer_id):
        if booked != step:
            raise TransferDiffers
        return False
    debit = draft.accounts.get(step.debit) or books.accounts[step.debit]
    credit = draft.accounts.get(step.credit) or books.accounts[step.credit]
    if debit.frozen:
        raise AccountFrozen
    after_debit = _entered(step.debit, debit, -step.amount_minor)
    after_credit = _entered(step.credit, credit, step.amount_minor)
    draft.accounts[step.debit], draft.accounts[step.credit] = after_debit, after_credit
    draft.booked[step.transfer_id] = step
    row = TransferRow(
        transfer_id=step.transfer_id,
        debit_account=debit.account_id,
        credit_account=credit.account_id,
        amount_minor=step.amount_minor,
        reason=step.reason,
        ref=step.ref,
        at_ms=now_ms,
        debit_number=after_debit.entries,
        debit_balance_minor=after_debit.balance_minor,
        credit_number=after_credit.entries,
        credit_balance_minor=after_credit.balance_minor,
        hold_id=hold_id,
    )
    draft.transfers.append(row)
    return True


def _find_booked(books: Books, draft: Draft, transfer_id: UUID) -> Transfer | None:
    return draft.booked.get(transfer_id) or books.booked.get(transfer_id)


def _entered(account: Account, row: AccountRow, change_minor: int) -> AccountRow:
    """Return an account after an entry. Raises InsufficientFunds, BalanceTooLarge."""
    balance_minor = row.balance_minor + change_minor
    if balance_minor < 0 and account.purpose in LIMITED:
        raise InsufficientFunds(available=row.balance_minor, currency=account.currency)
    assert balance_minor <= 0 or account.purpose != "receivable", "nobody pays back more than they owe"
    if abs(balance_minor) > AMOUNT_MAX:
        raise BalanceTooLarge
    return replace(row, balance_minor=balance_minor, entries=row.entries + 1)


def _hold(books: Books, draft: Draft, step: Hold, now_ms: int) -> None:
    assert step.expires_at_ms > now_ms, "a hold has a time"
    taken = _transfer(
        step.hold_id,
        available(step.owner_id, step.currency),
        held(step.owner_id, step.currency),
        step.amount_minor,
        "hold",
        step.ref,
    )
    if _move(books, draft, taken, now_ms, step.hold_id):
        draft.holds[step.hold_id] = HoldRow(
            hold_id=step.hold_id,
            owner_id=step.owner_id,
            currency=step.currency,
            amount_minor=step.amount_minor,
            ref=step.ref,
            at_ms=now_ms,
            expires_at_ms=step.expires_at_ms,
            status="held",
            posted_minor=0,
        )


def _post(books: Books, draft: Draft, step: PostHold, now_ms: int) -> None:
    hold = _find_hold(books, draft, step.hold_id)
    posted_minor = sum(part.amount_minor for part in step.parts)
    if (
        hold.status == "posted"
        and hold.posted_minor == posted_minor
        and _was_posted(books, draft, step, hold)
    ):
        return
    if hold.status != "held":
        raise HoldEnded(hold_status=hold.status)
    if now_ms >= hold.expires_at_ms:
        raise HoldExpired
    if posted_minor > hold.amount_minor:
        raise HoldTooSmall(held=hold.amount_minor, currency=hold.currency)
    source = held(hold.owner_id, hold.currency)
    for part in step.parts:
        _move(books, draft, _part_of(hold, part), now_ms, hold.hold_id)
    if rest_minor := hold.amount_minor - posted_minor:
        rest = _transfer(
            step.return_id,
            source,
            available(hold.owner_id, hold.currency),
            rest_minor,
            "hold_returned",
            hold.ref,
        )
        _move(books, draft, rest, now_ms, hold.hold_id)
    draft.holds[hold.hold_id] = replace(hold, status="posted", posted_minor=posted_minor)


def _was_posted(books: Books, draft: Draft, step: PostHold, hold: HoldRow) -> bool:
    """Return whether every part was booked before. Raises TransferDiffers."""
    found = [_find_booked(books, draft, part.transfer_id) for part in step.parts]
    if any(booked is None for booked in found):
        return False
    for part in step.parts:
        _move(books, draft, _part_of(hold, part), 0, hold.hold_id)  # compares
    return True


def _void(books: Books, draft: Draft, step: VoidHold, now_ms: int) -> None:
    hold = _find_hold(books, draft, step.hold_id)
    if hold.status in {"voided", "expired"}:
        return
    if hold.status != "held":
        raise HoldEnded(hold_status=hold.status)
    source, target = held(hold.owner_id, hold.currency), available(hold.owner_id, hold.currency)
    returned = _transfer(step.return_id, source, target, hold.amount_minor, "hold_returned", hold.ref)
    _move(books, draft, returned, now_ms, hold.hold_id)
    status: HoldStatus = "expired" if now_ms >= hold.expires_at_ms else "voided"
    draft.holds[hold.hold_id] = replace(hold, status=status)


def _find_hold(books: Books, draft: Draft, hold_id: UUID) -> HoldRow:
    hold = draft.holds.get(hold_id) or books.holds.get(hold_id)
    if hold is None:
        raise HoldNotFound
    return hold


def _part_of(hold: HoldRow, part: HoldPart) -> Transfer:
    source = held(hold.owner_id, hold.currency)
    return _transfer(part.transfer_id, source, part.credit, part.amount_minor, part.reason, hold.ref)


def _transfer(
    transfer_id: UUID, debit: Account, credit: Account, amount_minor: int, reason: Reason, ref: UUID
) -> Transfer:
    return Transfer(
        transfer_id=transfer_id,
        debit=debit,
        credit=credit,
        amount_minor=amount_minor,
        reason=reason,
        ref=ref,
    )
