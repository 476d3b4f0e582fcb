"""The compiler of the contracts. `python -m tests.support.contracts` writes anew what it makes of their sources."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from storage.ledger.contracts import FOLDER, Contract

NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.vy")))


def sha256_of(name: str) -> str:
    return sha256((FOLDER / f"{name}.vy").read_bytes()).hexdigest()


def compile_source(path: Path) -> dict[str, Any]:
    """Return `abi` and `bytecode` of a source."""
    import vyper

    return vyper.compile_code(path.read_text(), contract_path=path, output_formats=["abi", "bytecode"])


def compile_contract(name: str) -> Contract:
    import vyper

    return Contract(
        compiler=f"vyper {vyper.__version__}",
        source_sha256=sha256_of(name),
        **compile_source(FOLDER / f"{name}.vy"),
    )


def main() -> None:
    for name in NAMES:
        text = msgspec.json.format(msgspec.json.encode(compile_contract(name)), indent=1)
        (FOLDER / f"{name}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
