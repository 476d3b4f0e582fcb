"""Job: a node is asked about the anchor that is on its way, or should be, and told to take it.

What is to be sent is signed here, stored by `finish_turn`, and sent by the next turn. So a worker that is killed at any
point leaves nothing unknown: what was sent is stored, and sending it again changes nothing.
"""

from dataclasses import dataclass

import structlog

from handlers.contract import Outcome, Stores
from handlers.domain import Job, JobContext
from handlers.ledger.anchoring import rules
from handlers.ledger.anchoring.chain import Chain
from handlers.ledger.anchoring.looking import look
from handlers.ledger.anchoring.rules import (
    Adopt,
    Begin,
    Fail,
    Finish,
    Include,
    Limits,
    Replace,
    State,
    Step,
    Vanish,
    Wait,
)
from handlers.ledger.anchoring.states import read_state
from protocols.ledger.chains import Problem, SignedTransaction
from protocols.values import now_instant
from storage.engines.postgres import Connection
from storage.ledger import anchors_postgres
from storage.ledger.chain_errors import ChainError

TIMEOUT_S = 40.0
"""Of a turn: a dozen calls, of which a slow node takes a few seconds each."""

DETAILS: dict[Problem, str] = {
    "not_owner": "the contract belongs to another key",
    "chain_ahead": "the contract has a larger tree, or another root for this one: is this an old copy of the log?",
    "no_funds": "the key's account cannot pay for a transaction",
    "fee_too_high": "the chain asks for more than MNBARA_CHAIN_FEE_MAX_GWEI",
}

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn found out."""

    state: State
    step: Step
    limits: Limits
    signed: SignedTransaction | None
    looked_at_ms: int


async def drive_anchor(_job: Job, context: JobContext) -> Turn | None:
    """Return the next step. Raises ChainError, after storing why; TemporarilyUnavailable without the database."""
    chain = context.need(Chain)
    if chain.limits is None:
        return None  # the setting was taken away, and a job is left
    now_ms = now_instant()
    async with context.connection() as db:
        state = await read_state(db)
    try:
        return await _turn(chain, chain.limits, state, now_ms)
    except ChainError as error:
        async with context.connection() as db:
            await anchors_postgres.note_problem(db, error.problem, error.detail, now_ms)
        _log.warning("anchoring_stopped", problem=error.problem, reason=error.detail)
        raise


async def finish_turn(_job: Job, turn: Turn | None, stores: Stores, now_ms: int) -> Outcome:
    """Store the step."""
    if turn is not None:
        await _store(stores.db, turn, now_ms)
        await anchors_postgres.note_look(stores.db, turn.looked_at_ms)
    return Outcome(None)


async def _turn(chain: Chain, limits: Limits, state: State, now_ms: int) -> Turn:
    node = await chain.node()
    seen = await look(node, state, limits, now_ms)
    step = rules.decide(state, seen, limits, now_ms)
    if isinstance(step, str):
        raise ChainError(step, DETAILS.get(step, step))
    signed = None
    if isinstance(step, Begin):
        tree = step.tree
        signed = node.sign_anchor(limits.place, tree.size, tree.root, step.nonce, step.fees, seen.gas)
    elif isinstance(step, Replace) and state.open is not None:
        tree = state.open.tree
        gas = await node.estimate(limits.place, tree.size, tree.root)
        signed = node.sign_anchor(limits.place, tree.size, tree.root, state.open.nonce, step.fees, gas)
    elif isinstance(step, Wait) and state.open is not None and seen.included is None:
        newest = state.open.sends[-1]
        await node.send(SignedTransaction(newest.transaction, newest.raw))
    return Turn(state, step, limits, signed, now_ms)


async def _store(db: Connection, turn: Turn, now_ms: int) -> None:
    match turn.step:
        case Begin(tree, nonce, fees) if turn.signed is not None:
            anchor_id = await anchors_postgres.insert_anchor(
                db, tree.size, tree.root, turn.limits.place, "sent", nonce, now_ms
            )
            await anchors_postgres.insert_send(db, anchor_id, turn.signed, fees, now_ms)
        case Adopt(tree):
            place = turn.limits.place
            await anchors_postgres.insert_anchor(db, tree.size, tree.root, place, "anchored", None, now_ms)
        case Fail(anchor_id, reason):
            _log.warning("anchor_failed", anchor_id=anchor_id, reason=reason)
            await anchors_postgres.fail_anchor(db, anchor_id, reason, now_ms)
        case _ if turn.state.open is not None:
            await _move(db, turn, turn.state.open.anchor_id, now_ms)


async def _move(db: Connection, turn: Turn, anchor_id: int, now_ms: int) -> None:
    """Store a step of the anchor that is on its way."""
    match turn.step:
        case Replace(fees) if turn.signed is not None:
            await anchors_postgres.insert_send(db, anchor_id, turn.signed, fees, now_ms)
            await anchors_postgres.change_anchor(db, anchor_id, "sent", None, now_ms)
        case Vanish():
            await anchors_postgres.change_anchor(db, anchor_id, "sent", None, now_ms)
        case Include(included):
            await anchors_postgres.change_anchor(db, anchor_id, "mined", included, now_ms)
        case Finish(included):
            await anchors_postgres.change_anchor(db, anchor_id, "anchored", included, now_ms)
