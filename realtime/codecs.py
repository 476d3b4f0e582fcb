"""The two codecs of the client protocol, made once."""

from protocols.wire.codec_json import JsonCodec
from protocols.wire.codec_protobuf import ProtobufCodec

JSON = JsonCodec()
PROTOBUF = ProtobufCodec()
Codec = JsonCodec | ProtobufCodec
