"""The import of web3, which takes a second and changes the process: only who has a chain imports it, by this."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.ledger.chain_node import ChainNode


@contextmanager
def recursion_limit_kept() -> Iterator[None]:
    """Take back what an import makes of the recursion limit.

    Libraries of curves and of the EVM raise it to 100,000: so deep a JSON would end the process instead of the call.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def load_open_node() -> "Callable[[str, str], AbstractAsyncContextManager[ChainNode]]":
    """Return `open_node` of `chain_node`. Cost: a second and 50 MB, the first time."""
    with recursion_limit_kept():
        from storage.ledger.chain_node import open_node
    return open_node
