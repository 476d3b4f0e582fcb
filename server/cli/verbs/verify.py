"""`verify`: the checkers of proofs and of their anchors, with the key and the contract of the log that is kept here."""

from argparse import ArgumentParser, Namespace

from handlers.ledger.keys import find_vkey
from handlers.settings import Settings
from server.cli import verify_anchor, verify_ledger
from server.cli.verb import UsageError, Verb

WORST_FIRST = (
    verify_ledger.WRONG,
    verify_ledger.UNREADABLE,
    verify_ledger.INCOMPLETE,
    verify_ledger.RIGHT,
)


def _verify(chosen: Namespace) -> int:
    settings = Settings.from_environment()
    key = chosen.key or find_vkey(settings.secrets_folder)
    words = ["--key", key] if key else []
    if chosen.leaf_hash:
        words += ["--leaf-hash", chosen.leaf_hash]
    contract = chosen.contract or settings.chain_contract
    if chosen.chain and not contract:
        raise UsageError("--chain needs --contract, or MNBARA_CHAIN_CONTRACT: where the anchors are")
    status = verify_ledger.main([*words, "--", chosen.file])
    if not chosen.chain:
        return status
    anchored = verify_anchor.main(["--chain", chosen.chain, "--contract", contract, "--", chosen.file])
    return min(status, anchored, key=WORST_FIRST.index)


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the proof, as it was served or sent")
    parser.add_argument(
        "--key", metavar="VKEY", help="verifier key of the log; default: that of the log kept here"
    )
    parser.add_argument(
        "--leaf-hash", metavar="HASH", help="hash of the leaf in base64, for a file without `extra`"
    )
    parser.add_argument(
        "--chain", metavar="URL", help="a node of the chain that the checkpoint is anchored on"
    )
    parser.add_argument(
        "--contract", metavar="PLACE", help="eip155:CHAIN:ADDRESS; default: MNBARA_CHAIN_CONTRACT"
    )


VERIFY = Verb(
    name="verify",
    words="FILE [--key VKEY] [--chain URL]",
    meaning="check a proof of the transparency log, offline and on its chain; exit 0: all is right",
    example="./mnbara verify sale.tlog-proof",
    run=_verify,
    declare=_declare,
)
