"""`verify`: the checker of proofs (`server/cli/verify_ledger.py`), with the key of the log that is kept here."""

from argparse import ArgumentParser, Namespace

from handlers.ledger.keys import find_vkey
from handlers.settings import Settings
from server.cli import verify_ledger
from server.cli.verb import Verb


def _verify(chosen: Namespace) -> int:
    key = chosen.key or find_vkey(Settings.from_environment().secrets_folder)
    words = ["--key", key] if key else []
    if chosen.leaf_hash:
        words += ["--leaf-hash", chosen.leaf_hash]
    return verify_ledger.main([*words, "--", chosen.file])


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the proof, as it was served or sent")
    parser.add_argument(
        "--key", metavar="VKEY", help="verifier key of the log; default: that of the log kept here"
    )
    parser.add_argument(
        "--leaf-hash", metavar="HASH", help="hash of the leaf in base64, for a file without `extra`"
    )


VERIFY = Verb(
    name="verify",
    words="FILE [--key VKEY]",
    meaning="check a proof of the transparency log offline; exit 0: all is right",
    example="./mnbara verify sale.tlog-proof",
    run=_verify,
    declare=_declare,
)
