"""Loop: asks for a turn of anchoring when one is due, and shows how far the chain is behind the log."""

from uuid import UUID

from handlers.contract import JobRequest, Outcome, Stores
from handlers.domain import Figure, GaugeKind, LoopTurn
from handlers.ledger.anchoring import rules
from handlers.ledger.anchoring.chain import Chain
from handlers.ledger.anchoring.rules import State
from handlers.ledger.anchoring.states import read_state
from storage.engines.postgres import Connection
from storage.ledger import anchors_postgres
from storage.platform.jobs_postgres import next_due

PAUSE_S = 1.0

JOB = "ledger.drive_anchor"

ANCHORING = UUID("01937e00-0000-7000-8000-00000000a0c5")
"""What a turn is about: there is one chain."""

GAUGES = (
    GaugeKind(
        name="ledger_anchor_lag_seconds", meaning="Age of the oldest signed state that no final anchor covers"
    ),
    GaugeKind(name="ledger_anchor_pending_entries", meaning="Entries of the log that no final anchor covers"),
    GaugeKind(name="ledger_anchor_sends", meaning="Transactions that were signed for the anchor on its way"),
    GaugeKind(
        name="ledger_anchor_stopped_seconds",
        meaning="For how long something stands in the way; 0 if nothing does",
    ),
)
"""All 0 without a chain."""


async def plan_anchor(stores: Stores, now_ms: int) -> LoopTurn:
    """Ask for a turn unless one is asked for. Cost: five to seven index probes."""
    limits = stores.need(Chain).limits
    if limits is None:
        return LoopTurn()
    state = await read_state(stores.db)
    figures = await _measure(stores.db, state, now_ms)
    if not rules.is_look_due(state, limits, now_ms) or await next_due(stores.db, [JOB]):
        return LoopTurn(figures=figures)
    return LoopTurn(outcomes=[Outcome(None, jobs=[JobRequest(JOB, ANCHORING)])], figures=figures)


async def _measure(db: Connection, state: State, now_ms: int) -> list[Figure]:
    covered = 0 if state.done is None else state.done.tree.size
    newest = 0 if state.newest is None else state.newest.size
    uncovered_at_ms = await anchors_postgres.read_uncovered_at(db, covered)
    known = await anchors_postgres.read_chain(db)
    values = (
        0 if uncovered_at_ms is None else max(0, now_ms - uncovered_at_ms) / 1000,
        newest - covered,
        0 if state.open is None else len(state.open.sends),
        0 if known.problem is None else max(0, now_ms - known.problem_at_ms) / 1000,
    )
    return [Figure(gauge.name, value) for gauge, value in zip(GAUGES, values, strict=True)]
