"""What domains show in metrics: each kind is read every few seconds and copied into its gauges."""

import asyncio
from collections.abc import Sequence

import structlog

from handlers.domain import FigureKind
from protocols.errors import Fault
from server.process.metrics import Metrics
from storage.engines.postgres import Database

EVERY_S = 5.0

_log = structlog.get_logger()


class DomainFigures:
    """The gauges of all domains, in one worker."""

    def __init__(self, database: Database, metrics: Metrics, kinds: Sequence[FigureKind]) -> None:
        """Register the gauges; they have no sample before the first copy."""
        self._database = database
        self._kinds = kinds
        self._gauges = {
            name: metrics.domain_gauge(name, text, labels)
            for kind in kinds
            for name, (text, labels) in kind.gauges.items()
        }

    async def run(self) -> None:
        """Copy until cancelled."""
        while True:
            for kind in self._kinds:
                try:
                    await self.copy(kind)
                except Fault:
                    pass
                except Exception:  # noqa: BLE001 - metrics outlive any bug; it is logged and tried again
                    _log.exception("domain_figures_failed", gauges=list(kind.gauges))
            await asyncio.sleep(EVERY_S)

    async def copy(self, kind: FigureKind) -> None:
        """Copy the figures of now. Raises Fault."""
        async with self._database.connection() as db:
            samples = await kind.read(db)
        for name, values in samples.items():
            for labels, value in values.items():
                gauge = self._gauges[name]
                (gauge.labels(*labels) if labels else gauge).set(value)
