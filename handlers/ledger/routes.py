"""The routes of the transparency log. Tiles are served by `server/http/tiles.py`."""

from handlers.contract import Permission, Route, Upload
from handlers.ledger.add_checkpoint import add_checkpoint
from handlers.ledger.get_anchor import get_anchor
from handlers.ledger.get_checkpoint import get_checkpoint
from handlers.ledger.get_consistency_proof import get_consistency_proof
from handlers.ledger.get_inclusion_proof import get_inclusion_proof
from handlers.ledger.get_key import get_key
from handlers.ledger.list_entries import list_entries
from protocols.errors import InvalidInput
from protocols.ledger import commands as words
from protocols.ledger import refusals

ROUTES: tuple[Route, ...] = (
    Route(
        domain="ledger",
        command=words.GetCheckpoint,
        reply=words.Checkpoint,
        function=get_checkpoint,
        method="GET",
        path="/v1/ledger/checkpoint",
        permission=Permission.ANYONE,
        text="checkpoint",
        refusals=(refusals.CheckpointNotFound,),
    ),
    Route(
        domain="ledger",
        command=words.GetInclusionProof,
        reply=words.InclusionProof,
        function=get_inclusion_proof,
        method="GET",
        path="/v1/ledger/entries/{index}/proof",
        permission=Permission.ANYONE,
        text="proof",
        refusals=(refusals.LogEntryNotFound, refusals.CheckpointNotFound),
    ),
    Route(
        domain="ledger",
        command=words.GetConsistencyProof,
        reply=words.ConsistencyProof,
        function=get_consistency_proof,
        method="GET",
        path="/v1/ledger/consistency",
        permission=Permission.ANYONE,
        refusals=(InvalidInput, refusals.TreeTooSmall, refusals.CheckpointNotFound),
    ),
    Route(
        domain="ledger",
        command=words.ListEntries,
        reply=words.LogEntries,
        function=list_entries,
        method="GET",
        path="/v1/ledger/entries",
        permission=Permission.ANYONE,
        cost=2,
        refusals=(refusals.CheckpointNotFound,),
    ),
    Route(
        domain="ledger",
        command=words.GetAnchor,
        reply=words.Anchor,
        function=get_anchor,
        method="GET",
        path="/v1/ledger/anchors/{tree_size}",
        permission=Permission.ANYONE,
        refusals=(refusals.CheckpointNotFound,),
    ),
    Route(
        domain="ledger",
        command=words.GetKey,
        reply=words.LedgerKey,
        function=get_key,
        method="GET",
        path="/v1/ledger/key",
        permission=Permission.ANYONE,
    ),
    Route(
        domain="ledger",
        command=words.AddCheckpoint,
        reply=words.Cosignatures,
        function=add_checkpoint,
        method="POST",
        path="/v1/ledger/add-checkpoint",
        permission=Permission.ANYONE,
        cost=5,
        rpc=False,
        text="lines",
        upload=Upload(
            ("text/plain",),
            words.WITNESS_BYTES_MAX,
            also=("", "application/octet-stream", "application/x-www-form-urlencoded"),
        ),
        refusals=(
            refusals.BadCheckpoint,
            refusals.LogNotWitnessed,
            refusals.CheckpointNotSigned,
            refusals.WitnessElsewhere,
            refusals.SplitView,
            refusals.NotConsistent,
        ),
    ),
)
