"""Read what one has, by currency."""

from handlers.contract import Caller, Outcome, Stores
from protocols.payments.commands import ListWallets, Wallet, Wallets
from storage.payments.accounts_postgres import BalanceRow, read_wallets


async def list_wallets(_command: ListWallets, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the caller's wallets by currency; none before money moved."""
    by_currency: dict[str, dict[str, BalanceRow]] = {}
    for row in await read_wallets(stores.db, caller.id):
        by_currency.setdefault(row.currency, {})[row.purpose] = row
    return Outcome(Wallets(items=[_to_wallet(name, rows) for name, rows in by_currency.items()]))


def _to_wallet(currency: str, rows: dict[str, BalanceRow]) -> Wallet:
    balances = {purpose: row.balance_minor for purpose, row in rows.items()}
    return Wallet(
        currency=currency,
        available=balances.get("available", 0),
        held=balances.get("held", 0),
        pending=balances.get("payable", 0),
        owed=-balances.get("receivable", 0),
        frozen="available" in rows and rows["available"].frozen,
    )
