"""One publication as it is kept and sent: encoded once per format, however many readers there are."""

from collections.abc import Sequence

from realtime.channels.delta import make_delta
from realtime.codecs import JSON, Codec
from realtime.ports import Entry

DELTA_SOURCE_BYTES_MAX = 32_768
"""Larger publications are sent whole: computing their delta would delay all other connections."""

_DATA_AT = len(b'{"data":')


class Publication:
    """An entry of a channel in the forms of the wire."""

    __slots__ = ("_data_end", "_protobuf", "at_ms", "info", "json", "key", "number", "tags")

    def __init__(self, entry: Entry) -> None:
        """Encode as JSON at once, as Protobuf when a reader needs it."""
        data = entry.data or b"null"
        self.number, self.at_ms, self.key = entry.number, entry.at_ms, entry.key
        self.tags, self.info = entry.tags, entry.info
        self.json = JSON.publication(entry.number, data, entry.at_ms, entry.key, entry.tags, entry.info)
        self._data_end = _DATA_AT + len(data)
        self._protobuf: bytes | None = None

    @property
    def data(self) -> bytes:
        """The payload's JSON text; it is kept only inside the JSON form."""
        return self.json[_DATA_AT : self._data_end]

    def encoded(self, codec: Codec) -> bytes:
        """Return the publication in a codec's form."""
        if not codec.binary:
            return self.json
        if self._protobuf is None:
            self._protobuf = codec.publication(
                self.number, self.data, self.at_ms, self.key, self.tags, self.info
            )
        return self._protobuf

    def encoded_for_delta(self, codec: Codec, delta: bytes | None) -> bytes:
        """Return the publication for subscriptions with delta: a delta, or the whole payload."""
        data = self.data if delta is None else delta
        return codec.publication(
            self.number, data, self.at_ms, self.key, self.tags, self.info, delta=delta is not None
        )


def find_deltas(base: bytes | None, publications: Sequence[Publication]) -> list[bytes | None]:
    """Return the delta of each publication from the one before it, or None where the whole payload is shorter."""
    deltas: list[bytes | None] = []
    for publication in publications:
        data, delta = publication.data, None
        if base is not None and max(len(base), len(data)) <= DELTA_SOURCE_BYTES_MAX:
            delta = make_delta(base, data)
        deltas.append(delta if delta is not None and len(delta) < len(data) else None)
        base = data
    return deltas


def encode_for_delta(codec: Codec, publications: Sequence[Publication]) -> list[bytes]:
    """Return publications for a client that has none before them: the first is whole."""
    deltas = find_deltas(None, publications)
    return [p.encoded_for_delta(codec, delta) for p, delta in zip(publications, deltas, strict=True)]
