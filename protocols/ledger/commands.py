"""Commands, queries and replies of the transparency log."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from protocols.values import PageLimit, Timestamp

SIZE_MAX = 2**53 - 1
"""Places and sizes that are asked for: integers that JavaScript keeps exact."""

Index = Annotated[int, Meta(ge=0, le=SIZE_MAX, examples=[0])]
"""The place of an entry, from 0."""

TreeSize = Annotated[int, Meta(ge=0, le=SIZE_MAX, examples=[1])]
"""How many entries a tree has."""

Hash = Annotated[str, Meta(examples=["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="])]
"""SHA-256, in base64."""

CHECKPOINT_TEXT = (
    "market.example/v1/ledger\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n\n"
    "— market.example/v1/ledger b2xkZXN0IGxvZyBvZiB0aGVtIGFsbA==\n"
)
PROOF_TEXT = f"c2sp.org/tlog-proof@v1\nextra bW5iYXJhLnRyYW5zZmVyLzEK\nindex 0\n\n{CHECKPOINT_TEXT}"


class GetCheckpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the newest signed state of the log."""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """A signed state of the log."""

    tree_size: TreeSize
    root_hash: Hash
    at: Timestamp
    checkpoint: Annotated[str, Meta(examples=[CHECKPOINT_TEXT])]
    """The signed text. Source: C2SP tlog-checkpoint."""


class GetInclusionProof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prove that an entry is in the log; `tree_size` is that of a checkpoint, by default of the newest."""

    index: Index
    tree_size: TreeSize | None = None


class InclusionProof(Struct, frozen=True, kw_only=True):
    """A proof that is checked offline."""

    index: Index
    tree_size: TreeSize
    proof: Annotated[str, Meta(examples=[PROOF_TEXT])]
    """A file. Source: C2SP tlog-proof. Its line `extra` is what was logged, for those whom it concerns."""


class GetConsistencyProof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prove that the log of one size begins with the log of an older one."""

    old: Annotated[int, Meta(ge=1, le=SIZE_MAX, examples=[1])]
    new: Annotated[int, Meta(ge=1, le=SIZE_MAX, examples=[1])]


class ConsistencyProof(Struct, frozen=True, kw_only=True):
    """Hashes that lead from both roots to one another. Source: RFC 9162 section 2.1.4."""

    old: TreeSize
    new: TreeSize
    hashes: list[Hash]


class ListEntries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read entries in their order."""

    start: Index = msgspec.field(default=0, name="from")
    limit: PageLimit = 20


class LogEntry(Struct, frozen=True, kw_only=True):
    """An entry: its hash for everybody, the rest for those whom it concerns."""

    index: Index
    leaf_hash: Hash
    entry: UUID | None
    """The id of the transfer, or of the auction."""
    leaf: Annotated[str, Meta(examples=["bW5iYXJhLnRyYW5zZmVyLzEK"])] | None
    """What was logged, in base64."""


class LogEntries(Struct, frozen=True, kw_only=True):
    """A page of entries."""

    items: list[LogEntry]
    next_cursor: Annotated[str, Meta(examples=["20"])] | None
    """The `from` of the next page."""


class GetAnchor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read where a checkpoint stands on a chain."""

    tree_size: TreeSize


class Anchor(Struct, frozen=True, kw_only=True):
    """Where a checkpoint stands on a chain; what is not known yet is null."""

    tree_size: TreeSize
    root_hash: Hash
    status: Literal["pending", "anchored"]
    progress: Literal["not_configured", "waiting", "sent", "mined", "anchored"]
    """This server anchors nowhere; it is not sent yet; it is sent; it is in a block that may vanish; it stays."""
    anchor_size: TreeSize | None = None
    """The tree whose root is on the chain: this one or a larger one, of which a consistency proof shows that it
    continues this one. Not every checkpoint is anchored."""
    chain_id: Annotated[int, Meta(examples=[1])] | None = None
    contract: Annotated[str, Meta(examples=["0x5fbdb2315678afecb367f032d93f642f64180aa3"])] | None = None
    transaction: Annotated[str, Meta(examples=["0x" + "a1" * 32])] | None = None
    """Null also where it was sent by another copy of this server."""
    block: Annotated[int, Meta(examples=[23_900_000])] | None = None


class GetKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the keys by which checkpoints and cosignatures of this installation are checked."""


class LedgerKey(Struct, frozen=True, kw_only=True):
    """Verifier keys. Source: C2SP signed-note."""

    vkey: Annotated[
        str, Meta(examples=["market.example/v1/ledger+2a7f9f5e+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"])
    ]
    """Of the log: it signs checkpoints."""
    witness_vkey: Annotated[
        str,
        Meta(
            examples=[
                "market.example/v1/ledger/witness+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
            ]
        ),
    ]
    """Of the witness: it cosigns checkpoints of other logs."""


WITNESS_BYTES_MAX = 65_536
"""Of a request to the witness: 63 hashes and a checkpoint with 64 signatures."""


class AddCheckpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have a checkpoint cosigned: its old size, a proof of consistency, and the checkpoint, as text."""

    content: bytes


class Cosignatures(Struct, frozen=True, kw_only=True):
    """Lines to add to a checkpoint."""

    lines: Annotated[str, Meta(examples=["— market.example/v1/ledger/witness 2net5wAAAABqEiEgPlfF3V06\n"])]
