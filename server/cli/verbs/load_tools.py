"""`demo`, `bench`, `soak`: the load tools, which have command lines of their own."""

from argparse import Namespace

from server.cli.verb import Verb, hand_over, running_url


def _demo(chosen: Namespace) -> int:
    # The last `--url` counts: one on the command line comes after ours.
    return hand_over("load.demo", ["--url", running_url(), *chosen.words])


def _bench(chosen: Namespace) -> int:
    return hand_over("load.benchmarks", chosen.words)


def _soak(chosen: Namespace) -> int:
    return hand_over("load.soak", chosen.words)


DEMO = Verb(
    name="demo",
    meaning="fifty users bid on the running server, shown live",
    example="./mnbara demo --users 100 --seconds 30",
    run=_demo,
    hands_on_to="load.demo",
)
BENCH = Verb(
    name="bench",
    words="[NAME]",
    meaning="measure, and print the table with its baseline",
    example="./mnbara bench bids watch --processes 2",
    run=_bench,
    hands_on_to="load.benchmarks",
    needs_dev=True,
)
SOAK = Verb(
    name="soak",
    words="[NAME]",
    meaning="kill, restart and storm a private system under load; nothing may be lost: [--minutes 3]",
    example="./mnbara soak kills --minutes 10",
    run=_soak,
    hands_on_to="load.soak",
    needs_dev=True,
)
