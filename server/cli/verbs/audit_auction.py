"""`audit-auction`: the auditor (`server/cli/auditing.py`) on the public audit of one auction."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from uuid import UUID

from protocols.topics import parse_id
from server.cli.audit_auction import AuditUnavailableError, audit_auction
from server.cli.verb import Verb, running_url
from server.local.up import UpError


def _audit(chosen: Namespace) -> int:
    try:
        equal, text = audit_auction(chosen.url or running_url(), chosen.auction_id)
    except AuditUnavailableError as error:
        raise UpError(str(error)) from None
    print(text)
    return 0 if equal else 1


def _auction_id(text: str) -> UUID:
    parsed = parse_id(text)
    if parsed is None:
        raise ArgumentTypeError(f"{text!r} is not an auction's id")
    return parsed


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("auction_id", metavar="ID", type=_auction_id, help="of the auction")
    parser.add_argument("--url", help="server to ask; default: the one that runs here")


AUDIT_AUCTION = Verb(
    name="audit-auction",
    words="ID [--url URL]",
    meaning="check an auction's result from its public audit alone; exit 0: equal",
    example="./mnbara audit-auction 018f6f00-0000-7000-8000-000000000001 --url https://market.example",
    run=_audit,
    declare=_declare,
)
