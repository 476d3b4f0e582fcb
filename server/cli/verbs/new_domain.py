"""`new-domain`: the folders of a domain, its entries in the lists of all domains, and a first query."""

from argparse import ArgumentParser, Namespace

from server.cli.skeletons import Skeleton, add_domain
from server.cli.verb import ROOT, Verb
from server.cli.verbs.new_command import write_skeleton


def _new_domain(chosen: Namespace) -> int:
    skeleton = Skeleton(ROOT)
    add_domain(skeleton, chosen.domain, chosen.path)
    write_skeleton(skeleton)
    print(
        f"now write its first query: ./mnbara test tests/integration/{chosen.domain} fails (docs/extending.md)"
    )
    return 0


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("domain", metavar="NAME", help="one word, like parcels")
    parser.add_argument(
        "--path", default="", help="of its first query, like '/v1/cities/{city}/parcels'; default: /v1/NAME"
    )


NEW_DOMAIN = Verb(
    name="new-domain",
    words="NAME [--path PATH]",
    meaning="write the skeleton of a domain with a first query, and a test that fails",
    example="./mnbara new-domain parcels",
    run=_new_domain,
    declare=_declare,
    needs_dev=True,
)
