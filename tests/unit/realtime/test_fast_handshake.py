"""The short look at a handshake: it knows the ordinary one, and never lets in what the full check would refuse."""

import random

import pytest
from websockets.http11 import Request
from websockets.server import ServerProtocol

from realtime.transport.fast_handshake import Upgrade, accept_upgrade, read_upgrade

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
LINES = {
    b"Host": b"m.example",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}


def request(first=b"GET /connection/websocket HTTP/1.1", end=b"\r\n\r\n", **changes):
    fields = {**LINES, **{name.replace("_", "-").encode(): value for name, value in changes.items()}}
    return b"\r\n".join([first, *(b"%b: %b" % item for item in fields.items() if item[1] is not None)]) + end


def fully_judged(data):
    """The answer of `websockets`, or None when it does not even see a request."""
    protocol = ServerProtocol()
    protocol.receive_data(data)
    for event in protocol.events_received():
        if isinstance(event, Request):
            protocol.send_response(protocol.accept(event))
            return b"".join(protocol.data_to_send())
    return None


def test_the_key_is_answered_as_the_rfc_shows():
    """RFC 6455 section 1.3."""
    answer = accept_upgrade(KEY, None)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert b"Protocol: centrifuge-json\r\n" in accept_upgrade(KEY, "centrifuge-json")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, Upgrade(KEY, "m.example", "", (), "")),
        ({"Origin": b"https://m.example"}, Upgrade(KEY, "m.example", "https://m.example", (), "")),
        ({"Connection": b"keep-alive, Upgrade"}, Upgrade(KEY, "m.example", "", (), "")),
        ({"Upgrade": b"WebSocket", "Cookie": b"a=b; c=d"}, Upgrade(KEY, "m.example", "", (), "")),
        (
            {"Sec_WebSocket_Protocol": b"centrifuge-json, other"},
            Upgrade(KEY, "m.example", "", ("centrifuge-json", "other"), ""),
        ),
        (
            {"first": b"GET /connection/websocket?format=protobuf HTTP/1.1"},
            Upgrade(KEY, "m.example", "", (), "format=protobuf"),
        ),
    ],
)
def test_an_ordinary_handshake_is_read(changes, says):
    assert read_upgrade(request(**changes)) == says


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request(end=b"\r\n"),
        request() + b"\x81\x80\0\0\0\0",
        request(end=b"\n\n"),
        request(first=b"POST /connection/websocket HTTP/1.1"),
        request(first=b"GET /connection/websocket HTTP/1.0"),
        request(first=b"GET /connection/websockets HTTP/1.1"),
        request(first=b"GET /connection/websocket/ HTTP/1.1"),
        request(first=b"GET /connection/%77ebsocket HTTP/1.1"),
        request(first=b"GET http://m.example/connection/websocket HTTP/1.1"),
        request(first=b"GET  /connection/websocket HTTP/1.1"),
        request(Upgrade=b"h2c"),
        request(Upgrade=b"websocket, h2c"),
        request(Upgrade=None),
        request(Connection=b"close"),
        request(Connection=None),
        request(Sec_WebSocket_Version=b"8"),
        request(Sec_WebSocket_Version=None),
        request(Sec_WebSocket_Key=b"short"),
        request(Sec_WebSocket_Key=KEY[:-2] + b"AA"),
        request(Sec_WebSocket_Key=None),
        request(Sec_WebSocket_Protocol=b"a,,b"),
        request(Sec_WebSocket_Protocol=b""),
        request(Content_Length=b"0"),
        request(Transfer_Encoding=b"chunked"),
        request(Expect=b"100-continue"),
        request(X_Forwarded_For=b"203.0.113.9"),
        request(X_Forwarded_Proto=b"https"),
        request(upgrade=b"websocket"),
        request(sec_websocket_key=KEY),
        request(X="é".encode()),
        request(X=b"a\0b"),
        request(X=b"a\r\n folded"),
        request(X=b"a\nY: b"),
        request(**{"X Y": b"a"}),
        request(X=b"a" * 5000),
        request(**{f"X{number}": b"a" for number in range(70)}),
    ],
)
def test_whatever_is_not_ordinary_is_left_to_the_full_check(data):
    assert read_upgrade(data) is None


def test_no_handshake_is_let_in_that_the_full_check_refuses():
    """Ordinary handshakes with a few bytes changed, doubled or lost, and lines that came twice."""
    choose = random.Random(6455)
    known = 0
    for _ in range(4000):
        data = bytearray(request(Origin=b"https://m.example", Sec_WebSocket_Protocol=b"centrifuge-json"))
        for _ in range(choose.randint(0, 2)):
            at = choose.randrange(len(data))
            data[at : at + choose.randint(0, 2)] = bytes(
                choose.choice(b' \t\r\n:,;=\0\x7f\xffaZ0-"') for _ in range(choose.randint(0, 2))
            )
        upgrade = read_upgrade(bytes(data))
        if upgrade is not None:
            known += 1
            full = fully_judged(bytes(data))
            assert full is not None, bytes(data)
            assert full.startswith(b"HTTP/1.1 101 "), bytes(data)
            for line in accept_upgrade(upgrade.key, None).split(b"\r\n"):
                assert line in full.split(b"\r\n"), bytes(data)
    assert known > 1000
