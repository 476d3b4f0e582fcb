"""The books in metrics: by currency and purpose, which are bounded, never by owner."""

from handlers.domain import FigureKind, Samples
from storage.engines.postgres import Connection
from storage.payments.treasury_postgres import count_faults, read_state

_PURPOSES = (
    "wallets",
    "held",
    "escrow",
    "payable",
    "receivable",
    "commission",
    "tax",
    "exchange",
    "external",
)


async def read_treasury_figures(db: Connection) -> Samples:
    """Return what the last check found. Cost: two queries of a row; no account is read."""
    state = await read_state(db)
    by_currency = {str(each["currency"]): each for each in state.totals}
    return {
        "treasury_trial_balance_minor": {
            (name,): float(each["trial_balance"]) for name, each in by_currency.items()
        },
        "treasury_holds_difference_minor": {
            (name,): float(each["held"] - each["open_holds"]) for name, each in by_currency.items()
        },
        "treasury_minor": {
            (name, purpose): float(each[purpose])
            for name, each in by_currency.items()
            for purpose in _PURPOSES
        },
        "treasury_faulty_accounts": {(): float(await count_faults(db))},
        "treasury_checked_timestamp_seconds": {(): state.checked_at_ms / 1000},
        "treasury_audited_timestamp_seconds": {(): state.audited_at_ms / 1000},
    }


FIGURES = FigureKind(
    gauges={
        "treasury_trial_balance_minor": ("All credits less all debits of a currency: zero", ("currency",)),
        "treasury_holds_difference_minor": (
            "What accounts of holds have, less what open holds say: zero",
            ("currency",),
        ),
        "treasury_minor": ("Sum of all accounts of a purpose, minor units", ("currency", "purpose")),
        "treasury_faulty_accounts": ("Accounts whose balance is not the sum of their transfers: zero", ()),
        "treasury_checked_timestamp_seconds": ("When the totals were last read", ()),
        "treasury_audited_timestamp_seconds": ("When all transfers had last been added up", ()),
    },
    read=read_treasury_figures,
)
