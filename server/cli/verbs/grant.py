"""`grant`: roles for an account, on the engines of the running system."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from handlers.settings import Settings
from protocols.errors import Refusal
from server.cli.verb import Verb
from server.local.up import UpError

ROLES = ("admin", "finance", "support", "user")


def _grant(chosen: Namespace) -> int:
    from server.cli.grant import grant  # every handler is behind it: other verbs need not wait for them
    from server.cli.running import find_postgres, find_redis, run_on_engines

    settings = Settings.from_environment()
    postgres_url, redis_url = find_postgres(settings), find_redis(settings)
    try:
        print(run_on_engines(grant(postgres_url, redis_url, chosen.email, chosen.roles)))
    except Refusal as refusal:
        raise UpError(refusal.detail) from None
    return 0


def _role(text: str) -> str:
    if text not in ROLES:
        raise ArgumentTypeError(f"{text!r} is not one of the roles {', '.join(ROLES)}")
    return text


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("email", metavar="EMAIL", help="address that the account is registered with")
    parser.add_argument(
        "roles",
        metavar="ROLE",
        nargs="+",
        type=_role,
        help=f"roles: {', '.join(ROLES)}; they replace those held, `user` alone takes the others away",
    )


GRANT = Verb(
    name="grant",
    words="EMAIL ROLE...",
    meaning="give an account the roles support, finance or admin, on the running system",
    example="./mnbara grant ada@example.org support admin",
    run=_grant,
    declare=_declare,
)
