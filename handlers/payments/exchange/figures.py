"""The age of the reference rates in metrics."""

from handlers.domain import FigureKind, Samples
from storage.engines.postgres import Connection
from storage.payments.exchange_postgres import read_rates


async def read_rates_figures(db: Connection) -> Samples:
    """Return of when the rates are. Cost: one row."""
    rates = await read_rates(db)
    return {} if rates is None else {"exchange_rates_timestamp_seconds": {(): rates.as_of_ms / 1000}}


FIGURES = FigureKind(
    gauges={"exchange_rates_timestamp_seconds": ("Of when the reference rates are", ())},
    read=read_rates_figures,
)
