"""Loop: what operators have to hear of money: differences from the provider's books, and what needs a person."""

from handlers.contract import Stores
from handlers.domain import Figure, GaugeKind, LoopKind, LoopTurn
from storage.payments.reconciliations_postgres import count_differences, count_for_review


async def show_money(stores: Stores, _now_ms: int) -> LoopTurn:
    """Show both figures. Cost: two queries."""
    return LoopTurn(
        figures=[
            Figure("reconciliation_differences", await count_differences(stores.db)),
            Figure("payments_for_review", await count_for_review(stores.db)),
        ]
    )


MONEY_FIGURES = LoopKind(
    name="money_figures",
    step=show_money,
    pause_s=15.0,
    gauges=(
        GaugeKind(name="reconciliation_differences", meaning="Differences in the newest report"),
        GaugeKind(name="payments_for_review", meaning="Payments that the provider says nothing of any more"),
    ),
)
