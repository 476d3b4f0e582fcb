"""`python -m server.watched serve|worker`: one process of the system under a supervisor, as containers run it.

The process is replaced here when it dies or its event loop hangs, in less time than a container takes to start again.
Three short lives in a row end the container, with the exit code of the last: then it is the runtime's turn.
"""

import argparse
import functools
import signal
import subprocess
import sys
from collections.abc import Sequence

from server.local.programs import die_with_parent
from server.local.pulse import Pulse
from server.local.supervisor import START_DEATHS_MAX, Child, StopRequested, Supervisor, signals_stop

GRACE_S = 600.0
"""The runtime ends the container after a grace of its own, which is shorter."""


def main(words: Sequence[str]) -> int:
    """Run until asked to stop (0) or until the process cannot be kept running (its exit code)."""
    parser = argparse.ArgumentParser(
        prog="python -m server.watched", description="One process of Mnbara, replaced when it dies or hangs."
    )
    parser.add_argument("kind", choices=("serve", "worker"), help="see python -m server --help")
    kind = parser.parse_args(words).kind
    pulse = Pulse()
    child = Child(kind, functools.partial(_spawn, kind, pulse), grace_s=GRACE_S, pulse=pulse)
    supervisor = Supervisor(_say)
    with signals_stop(supervisor.kill) as wakeup_fd:
        try:
            supervisor.start(child)
            while child.deaths < START_DEATHS_MAX:
                supervisor.tend(60.0, wakeup_fd)
        except StopRequested:
            supervisor.stop()
            return 0
    _say(f"{kind} ended {START_DEATHS_MAX} times in a row soon after its start: given up")
    return _exit_code(child)


def _spawn(kind: str, pulse: Pulse) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "server", kind, "--heartbeat", str(pulse.beats_fd)],
        pass_fds=(pulse.beats_fd,),
        start_new_session=True,  # Ctrl-C reaches us alone: we stop the process
        preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - this program has one thread
    )


def _exit_code(child: Child) -> int:
    code = child.process.returncode if child.process else 1
    return code if code >= 0 else 128 - code  # as a shell reports a signal


def _say(line: str) -> None:
    print(f"mnbara: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
