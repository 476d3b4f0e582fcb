"""What clients of streams post: both codecs read it, and nothing a client sends breaks them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.wire import centrifuge_pb2
from protocols.wire.centrifuge import CodecError, ConnectResult, EmulationRequest
from protocols.wire.codec_json import JsonCodec
from protocols.wire.codec_protobuf import ProtobufCodec

CODECS = [JsonCodec(), ProtobufCodec()]
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(WORDS, WORDS, WORDS)
def test_both_formats_carry_the_same_request(node, session, data):
    wanted = EmulationRequest(node, session, data.encode())
    text = json.dumps({"node": node, "session": session, "data": data, "later": [1]}).encode()
    assert CODECS[0].decode_emulation(text) == wanted
    message = centrifuge_pb2.EmulationRequest(node=node, session=session, data=data.encode())
    assert CODECS[1].decode_emulation(message.SerializeToString()) == wanted


@pytest.mark.parametrize("codec", CODECS, ids=["json", "protobuf"])
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(codec, data):
    with contextlib.suppress(CodecError):
        assert isinstance(codec.decode_emulation(data), EmulationRequest)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"data":{}}',
        b'{"data":null}',
        b'{"node":1}',
        b'{"data":"\\ud800"}',
        b"\xff",
        b'{"session":"s","data":"{}","data":"[]"}',
        b'{"session":"s","s\\u0065ssion":"t","data":"{}"}',
        b'{"session":"a:b","later":{},"later":1,"data":"{}"}',
    ],
)
def test_requests_that_break_the_form_are_refused(text):
    with pytest.raises(CodecError):
        CODECS[0].decode_emulation(text)


def test_only_streams_are_told_a_session_and_a_node():
    plain, stream = ConnectResult(client="c"), ConnectResult(client="c", session="s", node="n")
    assert json.loads(CODECS[0].reply(1, plain)) == {"id": 1, "connect": {"client": "c"}}
    assert json.loads(CODECS[0].reply(1, stream))["connect"] == {"client": "c", "session": "s", "node": "n"}
    reply = CODECS[1].reply(1, stream)
    connect = centrifuge_pb2.Reply.FromString(reply[1:]).connect
    assert (connect.session, connect.node) == ("s", "n")
