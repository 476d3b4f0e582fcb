"""`python -m server serve|worker`: one process of the system. `--help` lists every setting."""

import argparse
import faulthandler
import os
import sys

import uvloop

from handlers.settings import Settings, SettingsError
from server.local.supervisor import STACK_SIGNAL
from server.process.lifecycle import serve, work
from server.process.logs import configure_logs


def main() -> int:
    """Run the process named on the command line; 2 for a bad setting."""
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="One process of Mnbara. `./mnbara up` starts them all.",
        epilog="settings (environment):\n" + Settings.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="serve|worker")
    server = kinds.add_parser("serve", help="answer clients on HOST:PORT")
    server.add_argument("--process", type=int, default=0, help="number of this process, for the logs")
    worker = kinds.add_parser("worker", help="relay events and run timers")
    for kind in (server, worker):
        kind.add_argument("--heartbeat", type=_descriptor, metavar="FD", help="where the supervisor hears it")
    chosen = parser.parse_args()
    faulthandler.register(STACK_SIGNAL)
    run = serve if chosen.kind == "serve" else work
    try:
        settings = Settings.from_environment()
        configure_logs(settings.log_level)
        uvloop.run(run(settings, chosen.heartbeat))
    except SettingsError as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 2
    return 0


def _descriptor(text: str) -> int:
    """Return the number of an open descriptor. Raises ArgumentTypeError."""
    try:
        os.fstat(int(text))
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r} is no open descriptor") from None
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
