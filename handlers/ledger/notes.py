"""Signed notes and checkpoints: texts whose last lines are signatures.

Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature (Ed25519).
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from handlers.ledger.merkle import HASH_BYTES

SIGNATURE, COSIGNATURE = 1, 4
"""Types of Ed25519 keys: of logs, of witnesses."""

SIZE_MAX = 2**63 - 1

SIGNATURES_MAX = 64
"""Signature lines that are looked at; a note must be taken with 16."""

_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class BadNoteError(Exception):
    """A text is no signed note, no checkpoint, or no key; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key with its name and type."""

    name: str
    kind: int
    public: Ed25519PublicKey

    @property
    def key_id(self) -> bytes:
        """The four bytes that tell it from others of its name."""
        made = self.name.encode() + b"\n" + bytes([self.kind]) + self.public.public_bytes_raw()
        return hashlib.sha256(made).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text, for those who check."""
        material = base64.b64encode(bytes([self.kind]) + self.public.public_bytes_raw()).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name and type."""

    private: Ed25519PrivateKey
    key: NoteKey

    @classmethod
    def of_seed(cls, name: str, kind: int, seed: bytes) -> "Signer":
        """Return the signer of 32 secret bytes. Raises BadNoteError for a name that no key may have."""
        _check_name(name)
        private = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(private, NoteKey(name, kind, private.public_key()))

    def sign(self, text: str) -> str:
        """Return the line that signs a note's text."""
        return self._line(self.private.sign(text.encode()))

    def cosign(self, text: str, at_s: int) -> str:
        """Return the line of a witness that has seen a checkpoint's text at a second."""
        assert self.key.kind == COSIGNATURE, "only witnesses cosign"
        return self._line(at_s.to_bytes(8) + self.private.sign(_cosigned(text, at_s)))

    def _line(self, signature: bytes) -> str:
        signed = base64.b64encode(self.key.key_id + signature).decode()
        return f"— {self.key.name} {signed}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it was read; nothing is said about its signatures yet."""

    text: str
    """With its last newline."""
    signatures: tuple[tuple[str, bytes, bytes], ...]
    """Name, key id, signature."""

    def is_signed_by(self, key: NoteKey) -> bool:
        """Return whether the key signed the text: one of its signatures is right, and none is wrong."""
        ours = [
            signed for name, key_id, signed in self.signatures if (name, key_id) == (key.name, key.key_id)
        ]
        return bool(ours) and all(_verifies(key, self.text, signed) for signed in ours)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the text of a checkpoint says."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(origin: str, size: int, root: bytes, signer: Signer) -> str:
    """Return a signed checkpoint."""
    text = Checkpoint(origin, size, root).text
    return f"{text}\n{signer.sign(text)}"


def read_note(content: str) -> Note:
    """Return a note. Raises BadNoteError. Cost: linear in the content."""
    if _CONTROL.search(content):
        raise BadNoteError("a note has no control characters")
    text, blank, lines = content.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise BadNoteError("a note is a text, an empty line, and lines of signatures")
    signatures = lines[:-1].split("\n")
    if len(signatures) > SIGNATURES_MAX:
        raise BadNoteError(f"a note has at most {SIGNATURES_MAX} signatures")
    return Note(text + "\n", tuple(map(_read_signature, signatures)))


def read_checkpoint(text: str) -> Checkpoint:
    """Return what a note's text says as a checkpoint. Raises BadNoteError."""
    lines = text[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        raise BadNoteError("a checkpoint has an origin, a size, a root, and no empty lines")
    return Checkpoint(lines[0], read_size(lines[1]), read_hash(lines[2]))


def read_size(text: str) -> int:
    """Return a tree's size in decimal. Raises BadNoteError."""
    if not _SIZE.fullmatch(text) or int(text) > SIZE_MAX:
        raise BadNoteError("a size is decimal without leading zeros, below 2**63")
    return int(text)


def read_hash(text: str) -> bytes:
    """Return a hash in base64. Raises BadNoteError."""
    hashed = read_base64(text)
    if len(hashed) != HASH_BYTES:
        raise BadNoteError(f"a hash has {HASH_BYTES} bytes")
    return hashed


def read_base64(text: str) -> bytes:
    """Return the bytes of base64 in their one spelling. Raises BadNoteError."""
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeError, binascii.Error):
        raise BadNoteError("this is no base64") from None
    if base64.b64encode(found).decode() != text:
        raise BadNoteError("this is no base64 as it is written")
    return found


def read_vkey(text: str) -> NoteKey:
    """Return a public key of its text. Raises BadNoteError."""
    parts = text.split("+", 2)
    material = read_base64(parts[2]) if len(parts) == 3 else b""
    if len(material) != 33 or material[0] not in {SIGNATURE, COSIGNATURE}:
        raise BadNoteError("a verifier key is NAME+ID+KEY with an Ed25519 key in base64")
    _check_name(parts[0])
    key = NoteKey(parts[0], material[0], Ed25519PublicKey.from_public_bytes(material[1:]))
    if key.key_id.hex() != parts[1]:
        raise BadNoteError("the id of a verifier key does not belong to its name and key")
    return key


def _read_signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not _NAME.fullmatch(parts[1]):
        raise BadNoteError("a signature is a dash, a name without spaces or plus, and base64")
    signed = read_base64(parts[2])
    if len(signed) < 5:
        raise BadNoteError("a signature has the id of its key and bytes")
    return parts[1], signed[:4], signed[4:]


def _verifies(key: NoteKey, text: str, signed: bytes) -> bool:
    message = text.encode()
    if key.kind == COSIGNATURE:
        if len(signed) != 72 or signed[0] > 0x7F:
            return False
        message, signed = _cosigned(text, int.from_bytes(signed[:8])), signed[8:]
    try:
        key.public.verify(signed, message)
    except InvalidSignature:
        return False
    return True


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadNoteError("a key's name has at least one character and no space or plus")
