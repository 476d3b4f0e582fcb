"""`python -m server serve|worker`: one process of the system. `--help` lists every setting."""

import argparse
import faulthandler
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvloop

from handlers.settings import Settings, SettingsError
from server.local.supervisor import STACK_SIGNAL
from server.process.logs import configure_logs
from server.process.sharing import share_metrics
from server.process.starting import StartError, await_engines
from storage.platform.key_files import KeyFileError


def main(arguments: Sequence[str]) -> int:
    """Run the process named on the command line; 1 when it cannot start now, 2 for a bad setting or secret."""
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="One process of Mnbara. `./mnbara up` starts them all.",
        epilog="settings (environment):\n" + Settings.describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="serve|worker")
    server = kinds.add_parser("serve", help="answer clients on HOST:PORT")
    server.add_argument("--process", type=int, default=0, help="number of this process, for logs and metrics")
    worker = kinds.add_parser("worker", help="relay events and run timers")
    for kind in (server, worker):
        kind.add_argument("--heartbeat", type=_descriptor, metavar="FD", help="where the supervisor hears it")
    chosen = parser.parse_args(arguments)
    faulthandler.register(STACK_SIGNAL)
    try:
        settings = Settings.from_environment()
        configure_logs(settings.log_level)
        for name in settings.without_effect:
            structlog.get_logger().warning("setting_without_effect", setting=name, reason="not built yet")
        uvloop.run(_run(chosen, settings))
    except StartError as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 1
    except SettingsError as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 2
    except KeyFileError as error:
        print(f"mnbara: {error}; MNBARA_SECRETS names the folder", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


async def _run(chosen: argparse.Namespace, settings: Settings) -> None:
    if settings.metrics_folder:
        share_metrics(Path(settings.metrics_folder))
    from server.foundation import check_settings
    from server.lifecycle import serve, work

    check_settings(settings)
    await await_engines(settings)  # before a signal only asks for an orderly end
    if chosen.kind == "serve":
        await serve(settings, chosen.heartbeat, chosen.process)
    else:
        await work(settings, chosen.heartbeat)


def _descriptor(text: str) -> int:
    """Return the number of an open descriptor. Raises ArgumentTypeError."""
    try:
        os.fstat(int(text))
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r} is no open descriptor") from None
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
