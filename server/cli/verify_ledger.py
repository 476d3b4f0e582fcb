"""Check a proof of a transparency log offline: `python3 verify_ledger.py FILE [--key VKEY] [--leaf-hash HASH]`.

This file stands alone: it needs Python 3.9 or newer and, to check signatures, the package `cryptography`. It asks
nobody. FILE is a tlog-proof: what was logged, its index, hashes, and a signed checkpoint. It is right when the hashes
lead from what was logged to the root of the checkpoint, and the key signed the checkpoint.

Exit status: 0 all is right; 1 something is wrong; 2 the file or the call cannot be read; 3 what could be checked is
right, but it was not all: no key was given, or the file does not say what was logged.

Source: C2SP tlog-proof, tlog-checkpoint, signed-note; RFC 9162 section 2.1.3.2.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import re
import sys
from pathlib import Path

FILE_BYTES_MAX = 1 << 20
"""A proof has at most 64 hashes and 64 KiB of what was logged."""

HASHES_MAX = 64
SIGNATURES_MAX = 64
SHOWN_MAX = 40
"""Characters of a file that a sentence repeats."""
LINES_MAX, LINE_MAX = 64, 120
"""Of what was logged: lines, and characters of a line, that are shown."""

NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
NAME = re.compile(r"[^\s+]+")
RIGHT, WRONG, UNREADABLE, INCOMPLETE = range(4)


class UnreadableError(Exception):
    """The file or the call is not of the form; the message says where."""


def shown(text: str) -> str:
    """Return a piece of a file as a sentence repeats it: short, ASCII, no control characters."""
    return ascii(text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "...")


def read_number(text: str, what: str) -> int:
    """Return a number of the file. Raises UnreadableError."""
    if not NUMBER.fullmatch(text) or int(text) >= 2**63:
        raise UnreadableError(f"{what} is {shown(text)}, not a number in decimal below 2**63")
    return int(text)


def read_base64(text: str, what: str, length: int | None = None) -> bytes:
    """Return the bytes of base64. Raises UnreadableError."""
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeError, binascii.Error):
        raise UnreadableError(f"{what} is {shown(text)}, which is not base64") from None
    if base64.b64encode(found).decode() != text:
        raise UnreadableError(f"{what} is {shown(text)}, which is not base64 in its one spelling")
    if length is not None and len(found) != length:
        raise UnreadableError(f"{what} has {len(found)} bytes, not {length}")
    return found


def read_text(path: str) -> str:
    """Return the text of a file. Raises UnreadableError."""
    try:
        if Path(path).is_fifo():  # nobody may ever write to it
            raise UnreadableError("The file is a pipe: keep the proof in a file")
        with Path(path).open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UnreadableError(f"The file cannot be read: {error.strerror}") from None
    except ValueError:
        raise UnreadableError("The file has a name that no file can have") from None
    if len(content) > FILE_BYTES_MAX:
        raise UnreadableError(f"The file has more than {FILE_BYTES_MAX} bytes: no proof has")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"The file is not UTF-8 at byte {error.start}") from None


def read_proof(text: str) -> tuple[bytes | None, int, list[bytes], str]:
    """Return (leaf or None, index, hashes, checkpoint's note). Raises UnreadableError."""
    head, blank, note = text.partition("\n\n")
    if not blank:
        raise UnreadableError("The file has no empty line before a checkpoint: it is cut off, or no proof")
    first, *lines = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1":
        raise UnreadableError(f"The first line is {shown(first)}, not 'c2sp.org/tlog-proof@v1'")
    leaf = None
    if lines and lines[0].startswith("extra "):
        leaf = read_base64(lines.pop(0)[6:], "What follows `extra`")
    if not lines or not lines[0].startswith("index "):
        raise UnreadableError("The line `index` is missing")
    index = read_number(lines.pop(0)[6:], "The index")
    if len(lines) > HASHES_MAX:
        raise UnreadableError(f"The proof has {len(lines)} hashes; none needs more than {HASHES_MAX}")
    hashes = [read_base64(line, f"Hash {at} of the proof", 32) for at, line in enumerate(lines, 1)]
    return leaf, index, hashes, note


def read_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return (signed text, [(name, key id, signature)]). Raises UnreadableError."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise UnreadableError("The checkpoint has no signatures after an empty line: it is cut off")
    signatures: list[tuple[str, bytes, bytes]] = []
    for line in lines[:-1].split("\n", SIGNATURES_MAX + 1):
        if len(signatures) == SIGNATURES_MAX:
            raise UnreadableError(f"The checkpoint has more than {SIGNATURES_MAX} signatures")
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not NAME.fullmatch(parts[1]):
            raise UnreadableError(f"{shown(line)} is not the line of a signature")
        signed = read_base64(parts[2], "A signature")
        signatures.append((parts[1], signed[:4], signed[4:]))
    return text + "\n", signatures


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    """Return (origin, tree size, root). Raises UnreadableError."""
    lines = text[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        raise UnreadableError("The checkpoint lacks its origin, its size or its root")
    return lines[0], read_number(lines[1], "The tree's size"), read_base64(lines[2], "The root", 32)


def read_vkey(vkey: str) -> tuple[str, bytes, int, bytes]:
    """Return (name, key id, type, public key). Raises UnreadableError."""
    parts = vkey.split("+", 2)
    if len(parts) != 3:
        raise UnreadableError(f"The key {shown(vkey)} is not NAME+ID+KEY")
    name, key_id, encoded = parts
    material = read_base64(encoded, "The last part of the key")
    if len(material) != 33 or material[0] not in (1, 4):
        raise UnreadableError("The key is not an Ed25519 key of a log or of a witness")
    made = hashlib.sha256(name.encode("utf-8", "replace") + b"\n" + material).digest()[:4]
    if made.hex() != key_id:
        raise UnreadableError("The key is misspelled: its id does not belong to its name and bytes")
    return name, made, material[0], material[1:]


def find_root(index: int, size: int, leaf_hash: bytes, hashes: list[bytes]) -> bytes | None:
    """Return the root that the hashes lead to, or None when there are too many or too few."""
    place, last, found = index, size - 1, leaf_hash
    for sibling in hashes:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def is_signed(
    text: str, signatures: list[tuple[str, bytes, bytes]], key: tuple[str, bytes, int, bytes]
) -> bool:
    """Whether a key signed a text: one of its signatures is right, and none is wrong. Raises UnreadableError."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise UnreadableError("Signatures are checked with the package `cryptography`: install it") from None
    name, key_id, kind, public = key
    found = {signed for named, of, signed in signatures if (named, of) == (name, key_id)}
    for signed in found:
        message, signature = text.encode(), signed
        if kind == 4:  # a witness signs the time, too
            message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signed[:8], "big") + message
            signature = signed[8:]
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
    return bool(found)


def verify(path: str, vkey: str | None, leaf_hash_text: str | None) -> tuple[int, list[str]]:
    """Return (exit status, sentences). Raises UnreadableError."""
    key = None if vkey is None else read_vkey(vkey)
    given = None if leaf_hash_text is None else read_base64(leaf_hash_text, "The hash of --leaf-hash", 32)
    leaf, index, hashes, note = read_proof(read_text(path))
    text, signatures = read_note(note)
    origin, size, root = read_checkpoint(text)
    leaf_hash = given if leaf is None else hashlib.sha256(b"\x00" + leaf).digest()
    wrong, missing, told = [], [], []
    if index >= size:
        wrong.append(f"Entry {index} cannot be in a tree of {size} entries.")
    elif leaf_hash is None:
        missing.append("The file does not say what was logged (no line `extra`): give the hash of the leaf.")
    elif leaf is not None and given not in (None, leaf_hash):
        wrong.append("What was logged does not have the hash that was given.")
    elif find_root(index, size, leaf_hash, hashes) != root:
        wrong.append(
            f"The hashes do not lead from entry {index} to the root of the checkpoint: what was logged, the index,"
            " a hash, the size or the root is not what it was."
        )
    else:
        told.append(f"Entry {index} is in the tree of {size} entries of {shown(origin)}.")
    if key is None or vkey is None:
        missing.append("No key was given (--key), so nobody knows whose checkpoint this is.")
    elif not is_signed(text, signatures, key):
        wrong.append(f"The checkpoint is not signed by the key {shown(vkey)}.")
    else:
        told.append(f"The checkpoint is signed by the key {shown(vkey)}.")
    if wrong:
        return WRONG, ["WRONG", *wrong]
    if leaf is not None:
        lines = leaf.decode("latin-1").rstrip("\n").split("\n", LINES_MAX)[:LINES_MAX]
        told += ["What was logged:", *("  " + ascii(line[:LINE_MAX])[1:-1] for line in lines)]
    return (INCOMPLETE, ["NOT ALL CHECKED", *told, *missing]) if missing else (RIGHT, ["RIGHT", *told])


def main(arguments: list[str] | None = None) -> int:
    """Check a file as the command line says, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(description="Check a proof of a transparency log, offline.")
    parser.add_argument("file", metavar="FILE", help="the proof, as it was served or sent")
    parser.add_argument("--key", metavar="VKEY", help="verifier key of the log, got from somewhere you trust")
    parser.add_argument(
        "--leaf-hash", metavar="HASH", help="hash of the leaf in base64, for a file without `extra`"
    )
    chosen = parser.parse_args(arguments)
    try:
        status, sentences = verify(chosen.file, chosen.key, chosen.leaf_hash)
    except UnreadableError as error:
        status, sentences = UNREADABLE, ["UNREADABLE", f"{error}."]
    print("\n".join(sentences))
    return status


if __name__ == "__main__":
    sys.exit(main())
