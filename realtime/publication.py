"""One publication as it is kept and sent: encoded once per format, however many read it."""

from protocols.codec_json import JsonCodec
from protocols.codec_protobuf import ProtobufCodec
from realtime.ports import Entry

JSON = JsonCodec()
PROTOBUF = ProtobufCodec()
Codec = JsonCodec | ProtobufCodec

_DATA_AT = len(b'{"data":')


class Publication:
    """An entry of a channel in the form the wire needs."""

    __slots__ = ("_data_end", "_protobuf", "at_ms", "json", "key", "number")

    def __init__(self, entry: Entry) -> None:
        """Encode as JSON at once; as Protobuf when the first such reader comes."""
        data = entry.data or b"null"
        self.number, self.at_ms, self.key = entry.number, entry.at_ms, entry.key
        self.json = JSON.publication(entry.number, data, entry.at_ms, entry.key)
        self._data_end = _DATA_AT + len(data)
        self._protobuf: bytes | None = None

    @property
    def data(self) -> bytes:
        """The payload's JSON text; kept once, inside the JSON form."""
        return self.json[_DATA_AT : self._data_end]

    def encoded(self, codec: Codec) -> bytes:
        """Return the publication in a codec's form."""
        if not codec.binary:
            return self.json
        if self._protobuf is None:
            self._protobuf = codec.publication(self.number, self.data, self.at_ms, self.key)
        return self._protobuf
