"""Loop: the age of the reference rates in metrics."""

from handlers.contract import Stores
from handlers.domain import Figure, GaugeKind, LoopKind, LoopTurn
from storage.payments.exchange_postgres import read_rates


async def show_rates(stores: Stores, _now_ms: int) -> LoopTurn:
    """Show of when the rates are. Cost: one row."""
    rates = await read_rates(stores.db)
    if rates is None:
        return LoopTurn()
    return LoopTurn(figures=[Figure("exchange_rates_timestamp_seconds", rates.as_of_ms / 1000)])


RATES_FIGURES = LoopKind(
    name="rates_figures",
    step=show_rates,
    pause_s=5.0,
    gauges=(GaugeKind(name="exchange_rates_timestamp_seconds", meaning="Of when the reference rates are"),),
)
