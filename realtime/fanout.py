"""From a channel's publications to its readers: encoded, framed and joined once per format and tick."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from realtime.frames import BINARY, TEXT, build_frame
from realtime.limits import FRAME_BYTES_AIM, Limits
from realtime.publication import JSON, PROTOBUF, Codec, Publication
from realtime.writer import Counters, Flusher, Writer

Readers = Mapping[Writer, Callable[[bytes], None]]
"""Readers and their transports' `write`, in the order they came: a set's order would cost a microsecond a write."""

_NOBODY: Readers = MappingProxyType({})


class Audience:
    """The readers of one channel, and what this tick has for them."""

    __slots__ = ("binary", "missed", "name", "pending", "text")

    def __init__(self, name: str, missed: Callable[[Writer, list[Publication]], None] | None = None) -> None:
        """Start without readers; `missed` takes publications that a full reader shall not queue."""
        self.name = name
        self.text = self.binary = _NOBODY
        self.pending: list[Publication] | None = None
        self.missed = missed

    def __bool__(self) -> bool:
        """Whether anybody reads."""
        return bool(self.text or self.binary)

    def __len__(self) -> int:
        """How many read."""
        return len(self.text) + len(self.binary)

    def add(self, writer: Writer) -> None:
        """Let a reader in; `Fanout.settle` first, or it gets this tick's publications twice."""
        readers = self.binary if writer.codec.binary else self.text
        if isinstance(readers, dict):
            readers[writer] = writer.write
        elif writer.codec.binary:
            self.binary = {writer: writer.write}
        else:
            self.text = {writer: writer.write}

    def discard(self, writer: Writer) -> None:
        """Let a reader go."""
        readers = self.binary if writer.codec.binary else self.text
        if isinstance(readers, dict):
            readers.pop(writer, None)


class Fanout(Flusher):
    """Publishes to audiences; everything leaves at the end of the tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, counters: Counters) -> None:
        """Start with nothing to send."""
        super().__init__(loop, limits, counters)
        self.audiences: list[Audience] = []
        self._alone = False
        """What is settled now is all that this tick brings its readers, beside what is queued already."""

    def publish(self, audience: Audience, publication: Publication) -> None:
        """Queue a publication for everyone who reads now."""
        if audience.pending is None:
            audience.pending = [publication]
            self.audiences.append(audience)
            if not self.scheduled:
                self.schedule()
        else:
            audience.pending.append(publication)

    def settle(self, audience: Audience) -> None:
        """Hand what is pending to today's readers, before one joins or leaves."""
        publications, audience.pending = audience.pending, None
        if not publications:
            return
        for readers, codec in ((audience.text, JSON), (audience.binary, PROTOBUF)):
            if readers:
                self._spread(audience, readers, encode_chunk(codec, audience.name, publications))
                if audience.missed is not None:
                    self._note_missed(audience, readers, publications)
                self.counters.deliveries += len(publications) * len(readers)

    def distribute(self) -> None:
        """Put what the tick has published into the outgoing bytes of its readers."""
        audiences, self.audiences = self.audiences, []
        # With one channel in the tick a connection's bytes are complete: no queue, write at once (a tenth cheaper).
        self._alone = len(audiences) == 1
        for audience in audiences:
            if audience.pending:
                self.settle(audience)
        self._alone = False

    def _spread(self, audience: Audience, readers: Readers, chunk: bytes) -> None:
        """Append ready bytes to each reader; this loop is the cost of a delivery."""
        dirty = self.dirty
        if self._alone and not dirty and not self.full:
            self._write_all(readers, chunk)
            return
        before = len(dirty)
        skips, alone = audience.missed is not None, self._alone
        for writer, write in readers.items():
            if writer.out is None:
                if writer.paused:
                    if skips:
                        continue
                elif alone:
                    try:
                        write(chunk)
                    except Exception:  # noqa: BLE001 - one broken transport must not cost the others their bytes
                        self.broken(writer)
                    continue
                writer.out = chunk
                dirty.append(writer)
            elif not (skips and writer.paused):
                writer.add(chunk)
        self.counters.bytes_sent += len(chunk) * (len(readers) - len(dirty) + before) if alone else 0
        if len(dirty) > before and not self.scheduled:
            self.schedule()

    def _write_all(self, readers: Readers, chunk: bytes) -> None:
        """Write to readers of whom none has anything queued, without as much as a look at them."""
        for write in readers.values():
            try:
                write(chunk)
            except Exception:  # noqa: BLE001 - one broken transport must not cost the others their bytes
                self.broken(next(writer for writer, its_write in readers.items() if its_write is write))
        self.counters.bytes_sent += len(chunk) * len(readers)

    @staticmethod
    def _note_missed(audience: Audience, readers: Readers, publications: list[Publication]) -> None:
        assert audience.missed is not None
        for writer in readers:
            if writer.paused:
                audience.missed(writer, publications)


def encode_chunk(codec: Codec, name: str, publications: Sequence[Publication]) -> bytes:
    """Return ready frames with one push per publication, several to a frame."""
    opcode = BINARY if codec.binary else TEXT
    messages = codec.push_publications(name, [publication.encoded(codec) for publication in publications])
    if len(messages) == 1:
        return build_frame(messages[0], opcode)
    frames: list[bytes] = []
    batch: list[bytes] = []
    size = 0
    for message in messages:
        if batch and size + len(message) > FRAME_BYTES_AIM:
            frames.append(build_frame(codec.join(batch), opcode))
            batch, size = [], 0
        batch.append(message)
        size += len(message) + 1
    frames.append(build_frame(codec.join(batch), opcode))
    return b"".join(frames)
