"""The transparency log: every movement of money and every auction's result, in a tree that a stranger can check."""

from handlers.domain import Domain, JobKind, LoopKind, PartKind, ToolKind
from handlers.ledger import auditing, proving, sequencing
from handlers.ledger.anchoring import drive_anchor as driving
from handlers.ledger.anchoring import plan_anchor as planning
from handlers.ledger.anchoring.chain import Chain, open_chain, read_chain_settings
from handlers.ledger.anchoring.drive_anchor import drive_anchor, finish_turn
from handlers.ledger.anchoring.plan_anchor import plan_anchor
from handlers.ledger.anchoring.states import chain_state
from handlers.ledger.auditing import audit_log
from handlers.ledger.keys import LedgerKeys, open_ledger_keys, read_witnessed
from handlers.ledger.proving import send_proofs
from handlers.ledger.routes import ROUTES
from handlers.ledger.sequencing import sequence_leaves
from protocols.ledger.events import PERSONAL_EVENTS

DOMAIN = Domain(
    name="ledger",
    routes=ROUTES,
    loops=(
        LoopKind(
            name="sequence_leaves",
            step=sequence_leaves,
            pause_s=sequencing.PAUSE_S,
            gauges=sequencing.GAUGES,
        ),
        LoopKind(name="audit_log", step=audit_log, pause_s=auditing.PAUSE_S, gauges=auditing.GAUGES),
        LoopKind(name="send_proofs", step=send_proofs, pause_s=proving.PAUSE_S, gauges=proving.GAUGES),
        LoopKind(name="plan_anchor", step=plan_anchor, pause_s=planning.PAUSE_S, gauges=planning.GAUGES),
    ),
    jobs=(
        JobKind(
            name="drive_anchor",
            run=drive_anchor,
            finish=finish_turn,
            timeout_s=driving.TIMEOUT_S,
            at_once_max=1,
        ),
    ),
    tools=(
        ToolKind(LedgerKeys, open_ledger_keys, read_witnessed),
        ToolKind(Chain, open_chain, read_chain_settings),
    ),
    parts=(PartKind(name="chain", state=chain_state),),
    personal_events=PERSONAL_EVENTS,
)
