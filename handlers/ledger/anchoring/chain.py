"""The chain that the settings name: which contract, by which node, with which key, how often, how dear."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from handlers.domain import ToolContext
from handlers.ledger.anchoring.rules import Limits
from handlers.settings import Settings, SettingsError
from protocols.ledger.chains import parse_place
from storage.ledger.chain_loading import load_open_node

if TYPE_CHECKING:
    from storage.ledger.chain_node import ChainNode

GWEI = 10**9

KEY_FILE_BYTES_MAX = 1_000

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the curve secp256k1: private keys are 1 to one less. Source: SEC 2, section 2.4.1."""


class Chain:
    """Where this installation anchors; nowhere when `limits` is None."""

    def __init__(self, limits: Limits | None, url: str, key: str) -> None:
        """Open nothing yet: server processes never ask a node."""
        self.limits = limits
        self._url = url
        self._key = key
        self._opened = AsyncExitStack()
        self._node: ChainNode | None = None
        self._lock = asyncio.Lock()

    async def node(self) -> "ChainNode":
        """Return the node, opened at the first call: importing web3 takes a second, so a thread does it."""
        async with self._lock:
            if self._node is None:
                open_node = await asyncio.to_thread(load_open_node)
                self._node = await self._opened.enter_async_context(open_node(self._url, self._key))
            return self._node

    async def close(self) -> None:
        """Close the node."""
        await self._opened.aclose()


def read_chain_settings(settings: Settings) -> tuple[Limits | None, str]:
    """Return what the settings say of the chain, and the key. Raises SettingsError."""
    if not settings.chain_url:
        for name in ("chain_key", "chain_contract"):
            if getattr(settings, name):
                raise SettingsError(
                    f"MNBARA_{name.upper()} is set and MNBARA_CHAIN_URL is not: set both, or none"
                )
        return None, ""
    key = read_chain_key(settings)
    if not settings.chain_contract:
        raise SettingsError(
            "MNBARA_CHAIN_URL needs MNBARA_CHAIN_CONTRACT: `./mnbara deploy-anchor` prints it"
        )
    try:
        place = parse_place(settings.chain_contract)
    except ValueError as error:
        raise SettingsError(f"MNBARA_CHAIN_CONTRACT {error}") from None
    if not settings.chain_interval_s or not settings.chain_fee_max_gwei:
        raise SettingsError("MNBARA_CHAIN_INTERVAL_S and MNBARA_CHAIN_FEE_MAX_GWEI must be 1 or more")
    return Limits(place, settings.chain_interval_s * 1000, settings.chain_fee_max_gwei * GWEI), key


def read_chain_key(settings: Settings) -> str:
    """Return the digits of the key in the file of the settings. Raises SettingsError, which has none of them."""
    if not settings.chain_key:
        raise SettingsError("MNBARA_CHAIN_URL needs MNBARA_CHAIN_KEY, the file of the key that pays")
    path = Path(settings.chain_key)
    try:
        with path.open("rb") as file:
            content = file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise SettingsError(f"MNBARA_CHAIN_KEY: {path} cannot be read: {error.strerror}") from None
    found = re.fullmatch(rb"\s*(?:0x)?([0-9a-fA-F]{64})\s*", content)
    if found is None or not 1 <= int(found[1], 16) < ORDER:
        raise SettingsError(
            f"MNBARA_CHAIN_KEY: {path} must hold a private key, 64 hexadecimal digits, and no more"
        )
    return found[1].decode()


@asynccontextmanager
async def open_chain(context: ToolContext) -> AsyncIterator[Chain]:
    """Return the chain of the settings, closed at the end. Raises SettingsError."""
    limits, key = read_chain_settings(context.settings)
    chain = Chain(limits, context.settings.chain_url, key)
    try:
        yield chain
    finally:
        await chain.close()
