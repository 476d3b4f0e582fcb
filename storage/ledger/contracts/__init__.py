"""The contracts as they are put on a chain: interface and bytecode, beside their sources.

`python -m tests.support.contracts` compiles the sources anew; a test compares.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a compiler made of a source."""

    compiler: str
    source_sha256: str
    bytecode: str
    """What deploys it, in hexadecimal."""
    abi: list[dict[str, Any]]


def load_contract(name: str) -> Contract:
    """Return a contract by the name of its file: `anchor` or `settlement`. Cost: reads one small file."""
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Contract)
