"""`conformance`, `conformance-server`: the official SDKs' own suites against the realtime core."""

from argparse import Namespace

from server.cli.verb import Verb, hand_over


def _conformance(chosen: Namespace) -> int:
    return hand_over("tests.conformance", chosen.words)


def _conformance_server(chosen: Namespace) -> int:
    return hand_over("tests.conformance.server", chosen.words)


CONFORMANCE = Verb(
    name="conformance",
    meaning="run the official SDKs' suites against the realtime core: [SUITE...] [--java FOLDER] [--js FOLDER]",
    example="./mnbara conformance python go",
    run=_conformance,
    hands_on_to="tests.conformance",
    needs_dev=True,
)
CONFORMANCE_SERVER = Verb(
    name="conformance-server",
    meaning="serve the rules such suites expect: [--insecure] [--no-presence] [--port 8000]",
    example="./mnbara conformance-server --insecure --port 8001",
    run=_conformance_server,
    hands_on_to="tests.conformance.server",
    needs_dev=True,
)
