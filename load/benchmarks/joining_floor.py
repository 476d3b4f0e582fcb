"""The floor of `watch`: what arrives in one turn of the loop leaves as one frame per subscriber, and nothing is stored.

A bid that is a publication, answered with its number: neither rules nor a database nor a commit. What `watch` costs
beyond this is the price of a durable bid.
Run: `python -m load.benchmarks.joining_floor PORT`.
"""

import asyncio
import sys

import uvloop

from load.benchmarks.floor import Floor, Publish, push_lines, serve, text_frame


class JoiningFloor(Floor):
    """One connection of a server that joins."""

    waiting: list[bytes] = []  # noqa: RUF012 - one server, one channel

    def _publish(self, command: Publish) -> bytes:
        if not self.waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self.waiting.append(push_lines(command, Floor.offset))
        Floor.offset += len(command.items)
        return b'{"bid_id":"","offset":%d}' % Floor.offset

    def _flush(self) -> None:
        frame = text_frame(b"\n".join(self.waiting))
        self.waiting.clear()
        for write in self.subscribers.values():
            write(frame)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), JoiningFloor))
