"""Readers for tests of channels: a hub without a network, and writers that remember what they were sent."""

import json

from realtime.codecs import JSON
from realtime.hub import Hub
from realtime.limits import Limits
from realtime.members import Member
from realtime.transport.frames import split_frames
from tests.support.realtime_app import MemoryBus, MemoryLog


class Reader(Member):
    """A reader that parses what it gets; its transport can be made to stop taking bytes."""

    def __init__(self, hub: Hub):
        super().__init__(hub.fanout, JSON, self._write, lambda: self.stuck)
        self.hub = hub
        self.session = self.user = ""
        self.sent = b""
        self.writes = 0
        self.stuck = 0
        self.ended: tuple[int, str] | None = None

    def _write(self, data: bytes) -> None:
        self.writes += 1
        self.sent += data

    def pushes(self) -> list[dict]:
        """Every publication received so far."""
        lines = b"\n".join(payload for _, payload in split_frames(self.sent)).splitlines()
        return [json.loads(line)["push"]["pub"] for line in lines]

    def numbers(self) -> list[int]:
        return [pub["offset"] for pub in self.pushes()]

    def disconnect(self, code: int, reason: str) -> None:
        self.ended = (code, reason)

    def cut_slow(self) -> None:
        self.ended = (3008, "slow")


def quiet_hub(**bounds) -> Hub:
    """A hub over memory; call inside an event loop."""
    quick = {"gap_wait_s": 0.001, "announce_wait_s": 0.001, "retry_min_s": 0.001, "retry_max_s": 0.004}
    return Hub(MemoryBus(), MemoryLog(), Limits(**{**quick, "sweep_s": 3600, **bounds}))
