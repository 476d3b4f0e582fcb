"""Read whether the books add up."""

from handlers.contract import Caller, Outcome, Stores
from protocols.payments.commands import CurrencyTotals, GetTreasury, Treasury
from storage.payments.accounts_postgres import read_totals


async def get_treasury(_command: GetTreasury, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the totals of every currency at one instant, and whether they balance.

    All accounts of a currency add up to zero, and the accounts of holds have what the open holds say.
    """
    totals: dict[str, dict[str, int]] = {}
    for row in await read_totals(stores.db):
        totals.setdefault(row.currency, {})[row.purpose] = row.balance_minor
    currencies = [_to_totals(currency, sums) for currency, sums in totals.items()]
    return Outcome(Treasury(balanced=all(each.balanced for each in currencies), currencies=currencies))


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
