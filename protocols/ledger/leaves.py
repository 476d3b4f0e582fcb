"""What a leaf of the transparency log says: lines of ASCII, in an order that never changes, with a salt of its own.

A leaf's bytes are for its parties. Everybody sees its hash, of which the salt lets nobody guess the bytes. People and
what a transfer is about stand in it as hashes with that salt, so two leaves of one person look unrelated to anybody but
those who know the person's id. The first line names kind and version; a change of format is a new version.
"""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

SALT_BYTES = 16

LEAF_BYTES_MAX = 65_535
"""What the two bytes of length before an entry of a bundle can say."""

NOBODY = "none"
"""The winner of an auction without one."""


def hash_account(salt: bytes, owner_id: UUID, purpose: str, currency: str) -> str:
    """Return an account as a leaf names it."""
    named = f"{purpose} {currency}".encode()
    return sha256(b"mnbara account\n" + salt + owner_id.bytes + named).hexdigest()


def hash_user(salt: bytes, user_id: UUID) -> str:
    """Return a person as a leaf names them."""
    return sha256(b"mnbara user\n" + salt + user_id.bytes).hexdigest()


def hash_ref(salt: bytes, ref: UUID) -> str:
    """Return what a transfer is about (an order, an auction, a top-up) as a leaf names it."""
    return sha256(b"mnbara ref\n" + salt + ref.bytes).hexdigest()


def write_leaf(kind: str, salt: bytes, lines: Sequence[tuple[str, object]]) -> bytes:
    """Return a leaf's bytes: its kind and version, its salt, a line for each of the names with its value."""
    text = f"mnbara.{kind}/1\nsalt {salt.hex()}\n"
    return (text + "".join(f"{name} {value}\n" for name, value in lines)).encode("ascii")


def read_entry_id(leaf: bytes) -> UUID:
    """Return the id of what a leaf of ours is about: its third line."""
    return UUID(leaf.split(b"\n", 3)[2].partition(b" ")[2].decode("ascii"))
