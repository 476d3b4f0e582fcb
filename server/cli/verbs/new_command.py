"""`new-command`: the skeleton of a command or query in every layer."""

import subprocess
from argparse import ArgumentParser, Namespace

from server.cli.skeleton_names import Command
from server.cli.skeletons import Skeleton, add_command
from server.cli.verb import ROOT, Verb, tool


def write_skeleton(skeleton: Skeleton) -> None:
    """Write the files, in the form that `./mnbara check` asks for, and list them."""
    skeleton.write()
    ours = sorted(path for path in skeleton.texts if path.endswith(".py"))
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        subprocess.run([tool("ruff"), *command, *ours], check=True, cwd=skeleton.root)  # noqa: S603 - our own tool
    for path in sorted(skeleton.texts):
        print(path)


def _new_command(chosen: Namespace) -> int:
    skeleton = Skeleton(ROOT)
    command = Command(
        chosen.domain,
        chosen.verb,
        chosen.method or ("GET" if chosen.query else "POST"),
        chosen.path,
        chosen.topic,
    )
    add_command(skeleton, command)
    write_skeleton(skeleton)
    print(
        f"now write its promise: ./mnbara test tests/integration/{chosen.domain}/test_{chosen.verb}.py fails"
    )
    return 0


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="a folder of handlers/")
    parser.add_argument("verb", metavar="VERB_NOUN", help="its name in every layer, like place_bid")
    method = parser.add_mutually_exclusive_group()
    method.add_argument("--query", action="store_true", help="it reads and changes nothing: --method GET")
    method.add_argument("--method", choices=("GET", "POST", "PUT", "PATCH", "DELETE"), help="default: POST")
    parser.add_argument("--path", default="", help="like '/v1/parcels/{parcel_id}': ids become fields")
    parser.add_argument(
        "--into",
        metavar="TOPIC",
        dest="topic",
        default="",
        help="a folder of the handlers; default: the one with routes that is called like the noun, if any",
    )


NEW_COMMAND = Verb(
    name="new-command",
    words="DOMAIN VERB_NOUN [--query] [--into TOPIC]",
    meaning="write the skeleton of a command: words, handler, route, and a test that fails",
    example="./mnbara new-command auctions freeze_auction",
    run=_new_command,
    declare=_declare,
    needs_dev=True,
)
