"""What the transparency log tells people on `personal:#<user_id>`."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct


class ProofReady(Struct, frozen=True, kw_only=True):
    """Something of yours has its place in the log. Keep the proof: it is checked without us."""

    entry: UUID
    """The id of the transfer, or of the auction."""
    index: int
    proof: Annotated[str, Meta(examples=["c2sp.org/tlog-proof@v1\\nextra bW5iYXJhLg==\\nindex 0\\n\\n…"])]
    """A tlog-proof file: what was logged, its place, and a signed checkpoint of the tree it is in."""


PERSONAL_EVENTS: dict[str, type[Struct]] = {"proof_ready": ProofReady}
"""By the type that `Event` names."""
