"""Keep processes running: start them, restart what dies or hangs with growing pauses, stop them in order.

One thread: a wake-up pipe tells of ended children and signals; children with a pulse are looked at twice a second. One
that does not beat for too long is asked for its stack, into its log, then killed. The first SIGINT, SIGTERM or SIGHUP
asks for an orderly stop, a second one kills. Children die with us, also after kill -9.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

from server.local.pulse import LOOK_EVERY_S, Pulse

PAUSE_S_MIN = 0.1
"""Pause before the first restart of a process."""

PAUSE_S_MAX = 5.0
"""Longest pause between restarts of a process that keeps dying."""

HEALTHY_S = 10.0
"""A process that lived this long starts again at the shortest pause."""

START_DEATHS_MAX = 3
"""A process that dies this often before it was healthy will not get better by itself."""

STACK_SIGNAL = signal.SIGUSR1
"""Makes our processes write the stacks of their threads to their log, also while the event loop hangs."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked us to stop; like KeyboardInterrupt, not to be caught as an error."""


@dataclass(slots=True)
class Child:
    """One process that must run: how to start it and how to end it."""

    name: str
    spawn: Callable[[], "subprocess.Popen[bytes]"]
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 15.0
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    restart_at: float | None = None
    deaths: int = 0
    """Deaths in a row, without a healthy life between them."""
    hung_s: float = 0.0
    """How long it had been silent when we killed it; 0 when we did not."""
    pulse: Pulse | None = None
    """Of a child that beats; of others only the end is noticed."""


@dataclass(slots=True)
class Supervisor:
    """Runs children; `changed` is called when a process id changed."""

    say: Callable[[str], None]
    changed: Callable[[], None] = lambda: None
    children: list[Child] = field(default_factory=list)
    stopping: bool = False
    look_every_s: float = LOOK_EVERY_S
    _look_at: float = 0.0

    def start(self, child: Child) -> None:
        """Start a child and watch it from now on. One that runs already is only watched."""
        self.children.append(child)
        if child.process is None:
            self._spawn(child)
        child.started_at = time.monotonic()

    def tend(self, timeout_s: float, wakeup_fd: int) -> None:
        """Wait for news or the timeout; restart what is due. Raises StopRequested from the signal handler."""
        now = time.monotonic()
        due = [child.restart_at for child in self.children if child.restart_at is not None]
        if any(child.pulse for child in self.children):
            due.append(self._look_at)
        wait_s = max(0.0, min([timeout_s, *(at - now for at in due)]))
        if select.select([wakeup_fd], [], [], wait_s)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(wakeup_fd, 4096)
        self._look_for_hung()
        for child in self.children:
            self._tend_child(child)

    def stop(self) -> None:
        """Stop the children in the reverse order of their start, groups of one name prefix together."""
        self.stopping = True
        for group in self._groups():
            for child in group:
                if child.process and child.process.poll() is None:
                    child.process.send_signal(child.stop_signal)
            for child in group:
                self._await_end(child)
        for child in self.children:
            if child.pulse:
                child.pulse.close()
                child.pulse = None

    def kill(self) -> None:
        """End every child at once."""
        for child in self.children:
            if child.process and child.process.poll() is None:
                child.process.kill()

    def pids(self) -> dict[str, int]:
        """Return process ids by name of what runs now."""
        return {c.name: c.process.pid for c in self.children if c.process and c.process.poll() is None}

    def _groups(self) -> Iterator[list[Child]]:
        names: dict[str, list[Child]] = {}
        for child in reversed(self.children):
            names.setdefault(child.name.split("-")[0], []).append(child)
        yield from names.values()

    def _await_end(self, child: Child) -> None:
        if child.process is None:
            return
        try:
            child.process.wait(child.grace_s)
        except subprocess.TimeoutExpired:
            self.say(f"{child.name} did not stop within {child.grace_s:.0f} s: killed")
            child.process.kill()
            child.process.wait()

    def _spawn(self, child: Child) -> None:
        child.hung_s = 0.0
        if child.pulse:
            child.pulse.begin()
        child.process = child.spawn()
        child.started_at = time.monotonic()
        child.restart_at = None
        self.changed()

    def _look_for_hung(self) -> None:
        """Look at every pulse, at most once in `look_every_s`: a turn of ours that comes late counts as one."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self.look_every_s
        for child in self.children:
            if child.pulse and child.process and child.process.poll() is None:
                self._look_at_pulse(child.pulse, child, child.process)

    def _look_at_pulse(self, pulse: Pulse, child: Child, process: "subprocess.Popen[bytes]") -> None:
        pulse.look(self.look_every_s)
        if pulse.left_s <= 0:
            child.hung_s = pulse.silent_s
            process.kill()  # a stopped process takes no other signal
        elif pulse.has_beaten and pulse.left_s <= self.look_every_s:
            process.send_signal(STACK_SIGNAL)  # the last look before: it may still go on

    def _tend_child(self, child: Child) -> None:
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                try:
                    self._spawn(child)
                except OSError as error:  # no room on the disk, no more processes: it may come back
                    child.restart_at = now + PAUSE_S_MAX
                    self.say(
                        f"{child.name} cannot start: {error.strerror}; tried again in {PAUSE_S_MAX:.0f} s"
                    )
            return
        if child.process is None or child.process.poll() is None:
            return
        child.deaths = 1 if now - child.started_at > HEALTHY_S else child.deaths + 1
        pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2 ** (child.deaths - 1))
        child.restart_at = now + pause_s
        fate = f"ended ({_reason(child.process.returncode)})"
        if child.hung_s:
            fate = f"has not answered for {child.hung_s:.1f} s: killed"
        self.say(f"{child.name} {fate}; starts again in {pause_s:.1f} s")
        self.changed()


@contextlib.contextmanager
def signals_stop(kill: Callable[[], None]) -> Iterator[int]:
    """Turn the first stop signal into StopRequested, a second into `kill`; yield the wake-up descriptor."""
    read_fd, write_fd = os.pipe()
    for fd in (read_fd, write_fd):
        os.set_blocking(fd, False)
    seen = 0

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            raise StopRequested
        kill()

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    wakeup_before = signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    try:
        yield read_fd
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read_fd)
        os.close(write_fd)


def _reason(returncode: int) -> str:
    if returncode < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-returncode).name
    return f"exit {returncode}"
