"""How the money of a payout ends: it left for good, or it came back."""

from protocols.payments.postings import PLATFORM, Account, Transfer
from storage.engines.postgres import Connection
from storage.payments.payouts_postgres import PayoutRow
from storage.payments.posting import post


async def book_left(db: Connection, row: PayoutRow, now_ms: int) -> None:
    """Book that the money of a payout is outside. Once, however often it is asked."""
    await _book(db, row, "payable", "external", now_ms)


async def book_back(db: Connection, row: PayoutRow, now_ms: int) -> None:
    """Book that the money of a payout is its owner's again, also when it had left. Once, however often it is asked."""
    await _book(db, row, "external" if row.status == "paid" else "payable", "available", now_ms)


async def _book(db: Connection, row: PayoutRow, source: str, target: str, now_ms: int) -> None:
    def account(purpose: str) -> Account:
        owner_id = PLATFORM if purpose == "external" else row.owner_id
        return Account(owner_id, row.currency, purpose)  # type: ignore[arg-type]  # purposes of this file

    is_back = target == "available"
    moved = Transfer(
        transfer_id=row.return_id if is_back else row.end_id,
        debit=account(source),
        credit=account(target),
        amount_minor=row.amount_minor,
        reason="payout_returned" if is_back else "payout",
        ref=row.payout_id,
    )
    (refusal,) = await post(db, [[moved]], now_ms)
    assert refusal is None, "what was taken is there"
