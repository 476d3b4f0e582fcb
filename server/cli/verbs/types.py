"""`types`: the public interface as TypeScript, on standard output."""

from argparse import Namespace

from server.cli.verb import Verb


def _types(_chosen: Namespace) -> int:
    from server.domains import DOMAINS  # the verbs' list needs no domain
    from server.schemas.typescript import build_types

    print(build_types(DOMAINS), end="")
    return 0


TYPES = Verb(
    name="types",
    meaning="print the TypeScript types of commands, answers, RPCs, channels and refusals",
    example="./mnbara types > mnbara.d.ts",
    run=_types,
)
