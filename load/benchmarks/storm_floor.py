"""The floor of a connect: accept, upgrade, answer the connect command, an `asyncio.Protocol` on uvloop.

It answers with as many bytes as Mnbara does. No bounds, no pacing, no channels, no deadlines; with a key it verifies
the signature of the token, which nobody who lets clients in by such a token can do without.
Run: `python -m load.benchmarks.storm_floor PORT [PUBLIC_KEY]`, the key as base64url.
"""

import base64
import sys
from collections.abc import Callable

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from load.benchmarks import floor

_REPLY = (
    b'{"id":%d,"connect":{"client":"019ab3c0-5f1e-7cc3-98c4-dc0c0c07398f","version":"mnbara","expires":true,"ttl":3599,'
    b'"data":{"server_time":"2026-11-24T12:00:00.000Z"},"subs":{"personal:#019ab3c0-5f1e-7cc3-98c4-dc0c0c07398f":'
    b'{"recoverable":true,"epoch":"3f9a","positioned":true}},"ping":25,"pong":true,"time":1795521600000}}'
)


class _Connect(Struct):
    token: str


class _Command(Struct):
    id: int
    connect: _Connect


_read = msgspec.json.Decoder(_Command).decode


class ConnectFloor(floor.Floor):
    """One connection."""

    check: Callable[[str], None] = staticmethod(lambda _token: None)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode != 1:
            self.transport.close()
            return
        command = _read(payload)
        self.check(command.connect.token)
        self.write(floor.text_frame(_REPLY % command.id))


def verifier(public_key: str) -> Callable[[str], None]:
    """Return a check of nothing but the signature."""
    verify = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(public_key + "==")).verify

    def check(token: str) -> None:
        signed, _, signature = token.rpartition(".")
        verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())

    return check


if __name__ == "__main__":
    if len(sys.argv) > 2:
        ConnectFloor.check = staticmethod(verifier(sys.argv[2]))
    uvloop.run(floor.serve(int(sys.argv[1]), ConnectFloor))
