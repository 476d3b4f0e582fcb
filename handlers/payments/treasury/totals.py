"""The totals of the books as operators see them."""

from collections.abc import Iterable, Sequence

from protocols.payments.commands import AccountFault, CurrencyTotals, Treasury
from protocols.values import to_timestamp
from storage.engines.postgres import Connection
from storage.payments.accounts_postgres import TotalRow, read_totals
from storage.payments.treasury_postgres import AddedRow, FaultRow, count_faults, list_faults

FAULTS_SHOWN = 20
"""Of the accounts that are wrong: one is enough to stop and look."""


async def read_treasury(db: Connection) -> Treasury:
    """Return the books as of now. Cost: reads every account and every open hold, no transfer."""
    currencies = to_currencies(await read_totals(db))
    faulty = await count_faults(db)
    faults = await list_faults(db, FAULTS_SHOWN) if faulty else []
    return Treasury(
        balanced=not faulty and all(each.balanced for each in currencies),
        currencies=currencies,
        faulty_accounts=faulty,
        faults=[to_fault(row, row.found_at_ms) for row in faults],
    )


def to_currencies(rows: Iterable[TotalRow]) -> list[CurrencyTotals]:
    """Return the totals by currency.

    All accounts of a currency add up to zero, and the accounts of holds have what the open holds say.
    """
    totals: dict[str, dict[str, int]] = {}
    for row in rows:
        totals.setdefault(row.currency, {})[row.purpose] = row.balance_minor
    return [_to_totals(currency, sums) for currency, sums in sorted(totals.items())]


def to_fault(row: FaultRow | AddedRow, found_at_ms: int) -> AccountFault:
    """Return an account that is wrong, or was."""
    return AccountFault(
        owner_id=row.owner_id,
        currency=row.currency,
        purpose=row.purpose,
        balance=row.balance_minor,
        expected=row.expected_minor,
        found_at=to_timestamp(found_at_ms),
    )


def wrong_of(rows: Sequence[AddedRow]) -> list[AddedRow]:
    """Return the accounts that are wrong and were not known to be."""
    return [row for row in rows if row.is_wrong and not row.known]


def mended_of(rows: Sequence[AddedRow]) -> list[AddedRow]:
    """Return the accounts that were known to be wrong and are right."""
    return [row for row in rows if row.is_right and row.known]


def _to_totals(currency: str, sums: dict[str, int]) -> CurrencyTotals:
    open_holds = sums.pop("open_holds", 0)
    trial_balance = sum(sums.values())
    held = sums.get("held", 0)
    return CurrencyTotals(
        currency=currency,
        trial_balance=trial_balance,
        held=held,
        open_holds=open_holds,
        wallets=sums.get("available", 0),
        escrow=sums.get("escrow", 0),
        payable=sums.get("payable", 0),
        receivable=sums.get("receivable", 0),
        commission=sums.get("commission", 0),
        tax=sums.get("tax", 0),
        exchange=sums.get("exchange", 0),
        external=sums.get("external", 0),
        balanced=trial_balance == 0 and held == open_holds,
    )
