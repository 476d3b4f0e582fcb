"""What the supervisor knows of a child that beats: a pipe on which the child's event loop writes a byte now and then.

Silence is counted in looks of the supervisor, not read from a clock. A supervisor that was stopped, or a machine that
slept, has missed looks, and each child has the rest of its time left when the looks go on; on a machine without time to
spare looks come late, and children have as much more time.
"""

import contextlib
import os

LOOK_EVERY_S = 0.5
"""The least time between two looks; children beat as often."""

SILENT_S_MAX = 3.0
"""A process that is silent this long answers nobody. The longest pause of a healthy one, a full collection of garbage
with 10,000 connections, takes 0.2 s. With a beat, a look, and the pause before the restart, a second is left of the
five in which a process is to be replaced."""

STARTING_S_MAX = 60.0
"""How long a process may take to its first beat: imports and engines, on a slow machine."""


class Pulse:
    """Beats of one child, of all its lives: the writing end is handed to each of its processes."""

    __slots__ = ("_heard_fd", "beats_fd", "has_beaten", "silent_s", "silent_s_max", "starting_s_max")

    def __init__(self, silent_s_max: float = SILENT_S_MAX, starting_s_max: float = STARTING_S_MAX) -> None:
        """Open the pipe. Neither end blocks: a child does not wait for a supervisor that does not read."""
        self._heard_fd, self.beats_fd = os.pipe()
        os.set_blocking(self._heard_fd, False)
        os.set_blocking(self.beats_fd, False)
        self.silent_s_max, self.starting_s_max = silent_s_max, starting_s_max
        self.silent_s = 0.0
        self.has_beaten = False

    def begin(self) -> None:
        """Forget the process before: another one starts."""
        self._has_news()
        self.silent_s = 0.0
        self.has_beaten = False

    def look(self, since_s: float) -> None:
        """Read what came; without a beat, the silence is `since_s` longer."""
        if self._has_news():
            self.silent_s = 0.0
            self.has_beaten = True
        else:
            self.silent_s += since_s

    @property
    def left_s(self) -> float:
        """How much longer it may be silent; nothing is left to a process that hangs."""
        return (self.silent_s_max if self.has_beaten else self.starting_s_max) - self.silent_s

    def close(self) -> None:
        """Close both ends."""
        os.close(self._heard_fd)
        os.close(self.beats_fd)

    def _has_news(self) -> bool:
        heard = False
        with contextlib.suppress(BlockingIOError):
            while os.read(self._heard_fd, 4096):
                heard = True
        return heard
