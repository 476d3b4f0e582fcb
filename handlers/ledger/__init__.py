"""The transparency log: every movement of money and every auction's result, in a tree that a stranger can check."""

from handlers.domain import Domain, LoopKind, ToolKind
from handlers.ledger import proving, sequencing
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
        LoopKind(name="send_proofs", step=send_proofs, pause_s=proving.PAUSE_S, gauges=proving.GAUGES),
    ),
    tools=(ToolKind(LedgerKeys, open_ledger_keys, read_witnessed),),
    personal_events=PERSONAL_EVENTS,
)
