"""Loop: the books in metrics, by currency and purpose, which are bounded, never by owner."""

from handlers.contract import Stores
from handlers.domain import Figure, GaugeKind, LoopKind, LoopTurn
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


async def show_treasury(stores: Stores, _now_ms: int) -> LoopTurn:
    """Show what the last check found. Cost: two queries of a row; no account is read."""
    state = await read_state(stores.db)
    figures = [
        Figure("treasury_faulty_accounts", await count_faults(stores.db)),
        Figure("treasury_checked_timestamp_seconds", state.checked_at_ms / 1000),
        Figure("treasury_audited_timestamp_seconds", state.audited_at_ms / 1000),
    ]
    for each in state.totals:
        currency = str(each["currency"])
        figures += [
            Figure("treasury_trial_balance_minor", float(each["trial_balance"]), (currency,)),
            Figure("treasury_holds_difference_minor", float(each["held"] - each["open_holds"]), (currency,)),
            *(Figure("treasury_minor", float(each[purpose]), (currency, purpose)) for purpose in _PURPOSES),
        ]
    return LoopTurn(figures=figures)


TREASURY_FIGURES = LoopKind(
    name="treasury_figures",
    step=show_treasury,
    pause_s=5.0,
    gauges=(
        GaugeKind(
            name="treasury_trial_balance_minor",
            meaning="All credits less all debits of a currency: zero",
            labels=("currency",),
        ),
        GaugeKind(
            name="treasury_holds_difference_minor",
            meaning="What accounts of holds have, less what open holds say: zero",
            labels=("currency",),
        ),
        GaugeKind(
            name="treasury_minor",
            meaning="Sum of all accounts of a purpose, minor units",
            labels=("currency", "purpose"),
        ),
        GaugeKind(
            name="treasury_faulty_accounts",
            meaning="Accounts whose balance is not the sum of their transfers: zero",
        ),
        GaugeKind(name="treasury_checked_timestamp_seconds", meaning="When the totals were last read"),
        GaugeKind(
            name="treasury_audited_timestamp_seconds", meaning="When all transfers had last been added up"
        ),
    ),
)
