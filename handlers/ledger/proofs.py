"""Proofs of inclusion as files that are checked offline. Source: C2SP tlog-proof."""

import base64
from collections.abc import Sequence

HEADER = "c2sp.org/tlog-proof@v1"


def write_proof(index: int, hashes: Sequence[bytes], checkpoint: str, leaf: bytes | None) -> str:
    """Return the file that proves a leaf's place in the tree of a checkpoint; `leaf` is its `extra` line, if any."""
    lines = [HEADER]
    if leaf is not None:
        lines.append(f"extra {base64.b64encode(leaf).decode()}")
    lines.append(f"index {index}")
    lines += [base64.b64encode(hashed).decode() for hashed in hashes]
    return "\n".join(lines) + "\n\n" + checkpoint
