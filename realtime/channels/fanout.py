"""Fan-out: publications of a channel are encoded and framed once per format and tick, then sent to all its readers.

Readers that asked for deltas, a tags filter or compaction are in groups of their own, one per style. Publications are
encoded once per group; readers without such a style cost nothing more.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from realtime.channels.publication import Publication, encode_for_delta, find_deltas
from realtime.channels.tags import TagsFilter
from realtime.codecs import JSON, PROTOBUF, Codec
from realtime.limits import FRAME_BYTES_AIM, Limits
from realtime.ports import Entry
from realtime.transport.frames import BINARY, TEXT, build_frame
from realtime.transport.writer import Counters, Flusher, Writer

Readers = dict[Writer, Callable[[bytes], None]]
"""Readers and their transports' `write`, in order of subscribing: a set's order costs a microsecond a write."""


class Style(NamedTuple):
    """The form in which a subscription gets its publications."""

    push_id: int = 0
    """The number that replaces the channel's name in pushes; 0: the name itself."""
    delta: bool = False
    tags: TagsFilter | None = None


PLAIN = Style()


class Group:
    """Readers of one format and style."""

    __slots__ = ("codec", "fresh", "readers", "style")

    def __init__(self, codec: Codec, style: Style) -> None:
        """Start without readers."""
        self.codec, self.style = codec, style
        self.readers: Readers = {}
        self.fresh: set[Writer] = set()
        """Readers with delta that lack the previous publication: they get the next one whole."""


class Audience:
    """The readers of one channel and the publications of this tick for them."""

    __slots__ = ("base", "binary", "groups", "missed", "name", "pending", "text")

    def __init__(self, name: str, missed: Callable[[Writer, list[Publication]], None] | None = None) -> None:
        """Start without readers; `missed` is called instead of queueing publications for a reader that is paused."""
        self.name = name
        self.text: Readers | None = None
        self.binary: Readers | None = None
        """Readers of plain style, by format; None as long as there are none: most channels have one of the two."""
        self.pending: list[Publication] | None = None
        self.missed = missed
        self.groups: dict[tuple[bool, Style], Group] | None = None
        """Readers of other styles; None as long as there are none."""
        self.base: bytes | None = None
        """The last payload that readers with delta got, except those in `Group.fresh`."""

    def __bool__(self) -> bool:
        """Whether there are readers."""
        return bool(self.text or self.binary or self.groups)

    def __len__(self) -> int:
        """How many readers there are."""
        styled = sum(len(group.readers) for group in self.groups.values()) if self.groups else 0
        return len(self.text or ()) + len(self.binary or ()) + styled

    def readers(self) -> Iterator[Writer]:
        """Return all readers."""
        yield from self.text or ()
        yield from self.binary or ()
        for group in self.groups.values() if self.groups else ():
            yield from group.readers

    def add(self, writer: Writer, style: Style = PLAIN, base: Publication | None = None) -> None:
        """Add a reader; call `Fanout.settle` first, or the reader gets this tick's publications twice.

        `base`: the channel's newest publication, when a reader with delta has got it.
        """
        if style != PLAIN:
            self._add_to_group(writer, style, base)
            return
        if writer.codec.binary:
            if self.binary is None:
                self.binary = {}
            self.binary[writer] = writer.write
        else:
            if self.text is None:
                self.text = {}
            self.text[writer] = writer.write

    def discard(self, writer: Writer) -> None:
        """Remove a reader."""
        readers = self.binary if writer.codec.binary else self.text
        if readers is not None and readers.pop(writer, None) is not None:
            return
        for key, group in list(self.groups.items()) if self.groups else ():
            if group.readers.pop(writer, None) is not None:
                group.fresh.discard(writer)
                if not group.readers:
                    assert self.groups
                    del self.groups[key]
                self.groups = self.groups or None
                return

    def _add_to_group(self, writer: Writer, style: Style, base: Publication | None) -> None:
        if self.groups is None:
            self.groups = {}
        key = (writer.codec.binary, style)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(writer.codec, style)
        group.readers[writer] = writer.write
        if style.delta and base is not None:
            self.base = base.data
        elif style.delta:
            group.fresh.add(writer)

    def by_style(self) -> Iterator[tuple[Readers, Codec, Style]]:
        """Return all readers by format and style."""
        for readers, codec in ((self.text, JSON), (self.binary, PROTOBUF)):
            if readers:
                yield readers, codec, PLAIN
        for group in self.groups.values() if self.groups else ():
            yield group.readers, group.codec, group.style

    def encode_alone(self, writer: Writer, publications: Sequence[Publication]) -> bytes:
        """Return ready frames in the style of one reader, which has no publication before these."""
        for readers, codec, style in self.by_style():
            if writer in readers:
                kept = keep(style, publications)
                if not style.delta:
                    return encode_chunk(codec, self.name, kept, style.push_id) if kept else b""
                return frame_chunk(codec, self.name, encode_for_delta(codec, kept), style.push_id)
        return b""


class Fanout(Flusher):
    """Publishes to audiences; everything leaves at the end of the tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, counters: Counters) -> None:
        """Start with nothing to send."""
        super().__init__(loop, limits, counters)
        self.audiences: list[Audience] = []
        self._alone = False
        """Only one audience has publications in this tick, so its readers get nothing else."""

    def publish(self, audience: Audience, publication: Publication) -> None:
        """Queue a publication for the present readers."""
        if audience.pending is None:
            audience.pending = [publication]
            self.audiences.append(audience)
            if not self.scheduled:
                self.schedule()
        else:
            audience.pending.append(publication)

    def settle(self, audience: Audience) -> None:
        """Send pending publications to the present readers; call it before one is added or removed."""
        publications, audience.pending = audience.pending, None
        if not publications:
            return
        for readers, codec in ((audience.text, JSON), (audience.binary, PROTOBUF)):
            if readers:
                self._send_to_all(audience, readers, encode_chunk(codec, audience.name, publications))
                if audience.missed is not None:
                    self._note_missed(audience, readers, publications)
                self.counters.deliveries += len(publications) * len(readers)
        if audience.groups is not None:
            self._settle_groups(audience, audience.groups, publications)

    def publish_presence(self, audience: Audience, change: Entry) -> None:
        """Send the join or leave of a client to the present readers."""
        self.settle(audience)
        for readers, codec, style in audience.by_style():
            message = codec.push_presence(audience.name, change.key, change.data, style.push_id)
            self._send_to_all(audience, readers, build_frame(message, BINARY if codec.binary else TEXT))

    def _settle_groups(
        self,
        audience: Audience,
        groups: Mapping[tuple[bool, Style], Group],
        publications: list[Publication],
    ) -> None:
        """Encode and send to each group in its style."""
        deltas: list[bytes | None] = []
        for group in groups.values():
            style, codec = group.style, group.codec
            if style.delta:
                deltas = deltas or find_deltas(audience.base, publications)
                self._settle_delta(audience, group, publications, deltas)
                kept: Sequence[Publication] = publications
            elif kept := keep(style, publications):
                self._send_to_all(
                    audience, group.readers, encode_chunk(codec, audience.name, kept, style.push_id)
                )
            self.counters.deliveries += len(kept) * len(group.readers)
            if audience.missed is not None and kept:
                self._note_missed(audience, group.readers, list(kept))
                group.fresh.update(writer for writer in group.readers if style.delta and writer.paused)
        if deltas:
            audience.base = publications[-1].data

    def _settle_delta(
        self,
        audience: Audience,
        group: Group,
        publications: Sequence[Publication],
        deltas: Sequence[bytes | None],
    ) -> None:
        """Send deltas to readers that have the previous publication; to others the first one whole."""
        codec, push_id = group.codec, group.style.push_id
        messages = [p.encoded_for_delta(codec, delta) for p, delta in zip(publications, deltas, strict=True)]
        readers: Readers = group.readers
        if group.fresh:
            fresh = {writer: write for writer, write in readers.items() if writer in group.fresh}
            readers = {writer: write for writer, write in readers.items() if writer not in group.fresh}
            group.fresh.clear()
            whole = [publications[0].encoded_for_delta(codec, None), *messages[1:]]
            self._send_to_all(audience, fresh, frame_chunk(codec, audience.name, whole, push_id))
        if readers:
            self._send_to_all(audience, readers, frame_chunk(codec, audience.name, messages, push_id))

    def distribute(self) -> None:
        """Move the publications of this tick into the outgoing bytes of their readers."""
        audiences, self.audiences = self.audiences, []
        # With one audience in the tick a connection's bytes are complete: writing at once is a tenth cheaper.
        self._alone = len(audiences) == 1
        for audience in audiences:
            if audience.pending:
                self.settle(audience)
        self._alone = False

    def _send_to_all(self, audience: Audience, readers: Readers, chunk: bytes) -> None:
        """Append ready frames to the outgoing bytes of each reader; this loop is the cost of a delivery."""
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
                    except Exception:  # noqa: BLE001 - one broken transport must not stop the others
                        self.on_write_failed(writer)
                    continue
                writer.out = chunk
                dirty.append(writer)
            elif not (skips and writer.paused):
                writer.add(chunk)
        self.counters.bytes_sent += len(chunk) * (len(readers) - len(dirty) + before) if alone else 0
        if len(dirty) > before and not self.scheduled:
            self.schedule()

    def _write_all(self, readers: Readers, chunk: bytes) -> None:
        """Write to readers without anything queued; nothing of them is looked at but `write`."""
        for write in readers.values():
            try:
                write(chunk)
            except Exception:  # noqa: BLE001 - one broken transport must not stop the others
                self.on_write_failed(
                    next(writer for writer, its_write in readers.items() if its_write is write)
                )
        self.counters.bytes_sent += len(chunk) * len(readers)

    @staticmethod
    def _note_missed(audience: Audience, readers: Readers, publications: list[Publication]) -> None:
        assert audience.missed is not None
        for writer in readers:
            if writer.paused:
                audience.missed(writer, publications)


def keep(style: Style, publications: Sequence[Publication]) -> Sequence[Publication]:
    """Return the publications that a style's tags filter lets through."""
    if style.tags is None:
        return publications
    return [publication for publication in publications if style.tags.keeps(publication.tags)]


def encode_chunk(codec: Codec, name: str, publications: Sequence[Publication], push_id: int = 0) -> bytes:
    """Return ready frames with one push per publication, several to a frame."""
    encoded = [publication.encoded(codec) for publication in publications]
    return frame_chunk(codec, name, encoded, push_id)


def frame_chunk(codec: Codec, name: str, encoded: Sequence[bytes], push_id: int = 0) -> bytes:
    """Return ready frames with one push per encoded publication, several to a frame."""
    opcode = BINARY if codec.binary else TEXT
    messages = codec.push_publications(name, encoded, push_id)
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
