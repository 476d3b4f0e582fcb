"""Check on a chain what a proof's checkpoint says: `python3 verify_anchor.py FILE --chain URL --contract PLACE`.

This file stands alone: it needs Python 3.9 or newer and a node of the chain. FILE is a proof or a checkpoint. It is
right when the contract has the root of the checkpoint for a tree of its size, in a block that the node calls final. It
says nothing about the rest of a proof: that is what verify_ledger.py is for.

Exit status: 0 it is on the chain; 1 the chain has another root; 2 the file or the call cannot be read, or the node does
not answer; 3 the chain does not have it yet, or not for a tree of this size.

Source: C2SP tlog-proof, tlog-checkpoint; CAIP-10; Ethereum JSON-RPC `eth_call`.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 1 << 20
ANSWER_BYTES_MAX = 1 << 16
CALL_S = 20.0
NESTED_MAX = 64
"""Objects and arrays in an answer: one or two, and an error's data."""

FIRST_FROM = "afc26ba7"
"""The selector of `first_from(uint64)`: it returns the size and the root of the smallest anchored tree of that size or
more, or zeros."""

PLACE = re.compile(r"eip155:([1-9][0-9]{0,15}):(0x[0-9a-fA-F]{40})")
SIZE = re.compile(r"[1-9][0-9]{0,18}")
DIGITS = re.compile(r"0x[0-9a-f]*")
RIGHT, WRONG, UNREADABLE, INCOMPLETE = range(4)


class UnreadableError(Exception):
    """The file, the call or the node's answer is not of the form; the message says where."""


class RefusedError(Exception):
    """The node says no."""


class _Direct(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the answer shall be of the node that was named."""

    def redirect_request(self, *_args: Any) -> None:  # noqa: ANN401 - as the library calls it
        return None


_OPENER = urllib.request.build_opener(_Direct, urllib.request.ProxyHandler({}))


def read_checkpoint(path: str) -> tuple[int, bytes]:
    """Return the size and the root that a file states. Raises UnreadableError."""
    try:
        if Path(path).is_fifo():  # nobody may ever write to it
            raise UnreadableError("The file is a pipe: keep the proof in a file")
        with Path(path).open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        text = content[:FILE_BYTES_MAX].decode("utf-8")
    except (OSError, ValueError) as error:
        raise UnreadableError(f"The file cannot be read: {type(error).__name__}") from None
    if len(content) > FILE_BYTES_MAX:
        raise UnreadableError(f"The file has more than {FILE_BYTES_MAX} bytes: no proof has")
    return parse_checkpoint(text)


def parse_checkpoint(text: str) -> tuple[int, bytes]:
    """Return the size and the root that a proof or a checkpoint states. Raises UnreadableError."""
    if text.startswith("c2sp.org/tlog-proof@"):
        text = text.partition("\n\n")[2]
    lines = text.split("\n", 3)
    try:
        root = base64.b64decode(lines[2].encode("ascii"), validate=True)
    except (IndexError, UnicodeError, binascii.Error):
        root = b""
    if len(root) != 32 or not SIZE.fullmatch(lines[1]) or int(lines[1]) >= 2**63:
        raise UnreadableError(
            "The file has no checkpoint with the size and the root of a tree that has entries"
        )
    return int(lines[1]), root


def read_digits(result: object) -> str | None:
    """Return the hexadecimal digits of a value in a node's answer; None when it is none."""
    return result[2:] if isinstance(result, str) and DIGITS.fullmatch(result) else None


def ask(url: str, method: str, *params: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the hexadecimal digits that a node answers. Raises UnreadableError, RefusedError."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310 - checked by main
    try:
        with _OPENER.open(request, timeout=CALL_S) as answer:
            content = answer.read(ANSWER_BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        content = error.read(ANSWER_BYTES_MAX) if error.code < 500 else b""
    except (OSError, ValueError) as error:
        raise UnreadableError(f"The node does not answer: {type(error).__name__}") from None
    if content.count(b"[") + content.count(b"{") > NESTED_MAX:
        content = b""
    try:
        found = json.loads(content)
        if "error" in found:
            raise RefusedError
        result = found["result"]
    except (ValueError, KeyError, TypeError, RecursionError):
        result = None
    digits = read_digits(result)
    if digits is None or len(content) > ANSWER_BYTES_MAX:
        raise UnreadableError(f"The node does not answer {method} as a node does")
    return digits


def read_anchor(url: str, address: str, size: int, block: str) -> tuple[int, bytes]:
    """Return size and root of the smallest anchored tree of at least a size; (0, zeros) when there is none.

    Raises: UnreadableError, RefusedError.
    """
    found = ask(url, "eth_call", {"to": address, "data": f"0x{FIRST_FROM}{size:064x}"}, block)
    if not found:
        return 0, bytes(32)  # there was no contract yet
    if len(found) != 128:
        raise UnreadableError("The contract does not answer as one that keeps anchors")
    return int(found[:64], 16), bytes.fromhex(found[64:])


def check(path: str, url: str, place: str) -> tuple[int, list[str]]:
    """Return (exit status, sentences). Raises UnreadableError."""
    named = PLACE.fullmatch(place)
    if named is None:
        raise UnreadableError("The contract is not named as eip155:CHAIN:ADDRESS")
    if not url.startswith(("http://", "https://")):
        raise UnreadableError("The node is not named by a URL with http or https")
    size, root = read_checkpoint(path)
    try:
        chain = int(ask(url, "eth_chainId") or "0", 16)
        if chain != int(named[1]):
            raise UnreadableError(f"The node is of chain {chain}, the contract of chain {named[1]}")
        newest = read_anchor(url, named[2], size, "latest")
    except RefusedError:
        raise UnreadableError("The node refuses to read the contract") from None
    try:
        final = read_anchor(url, named[2], size, "finalized")
    except RefusedError:
        final = (0, bytes(32))  # a node that does not say what is final
    return judge(size, root, final, newest, place)


def judge(
    size: int, root: bytes, final: tuple[int, bytes], newest: tuple[int, bytes], place: str
) -> tuple[int, list[str]]:
    """Return (exit status, sentences) for what the contract has in final blocks, and in all."""
    for found_size, found_root in (final, newest):
        if found_size == size and found_root != root:
            return WRONG, ["WRONG", f"{place} has another root for the tree of {size} entries."]
    if final[0] == size:
        return RIGHT, ["RIGHT", f"The root of {size} entries is in a final block, at {place}."]
    if newest[0] == size:
        return INCOMPLETE, [
            "NOT FINAL",
            f"The root of {size} entries is at {place}, in a block that may vanish yet.",
        ]
    if newest[0]:
        told = (
            f"The next anchored tree has {newest[0]} entries: ask for the proof with tree_size={newest[0]}."
        )
        return INCOMPLETE, ["NOT ANCHORED", f"The tree of {size} entries is not at {place}.", told]
    return INCOMPLETE, ["NOT ANCHORED", f"No tree of {size} entries or more is at {place} yet."]


def main(arguments: list[str] | None = None) -> int:
    """Check a file as the command line says, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(description="Check on a chain what a proof's checkpoint says.")
    parser.add_argument("file", metavar="FILE", help="the proof, or a checkpoint")
    parser.add_argument("--chain", metavar="URL", required=True, help="a node of the chain, which you trust")
    parser.add_argument(
        "--contract",
        metavar="PLACE",
        required=True,
        help="eip155:CHAIN:ADDRESS, got from somewhere you trust",
    )
    chosen = parser.parse_args(arguments)
    try:
        status, sentences = check(chosen.file, chosen.chain, chosen.contract)
    except UnreadableError as error:
        status, sentences = UNREADABLE, ["UNREADABLE", f"{error}."]
    print("\n".join(sentences))
    return status


if __name__ == "__main__":
    sys.exit(main())
