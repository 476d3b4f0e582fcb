"""The Protobuf codec, checked against the official SDK's own generated classes."""

import contextlib
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from centrifuge.protocol import client_pb2 as sdk
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

import protocols.wire.centrifuge_pb2
from protocols.wire.centrifuge import (
    CodecError,
    Command,
    ConnectResult,
    HistoryResult,
    RefreshResult,
    RefusedCommand,
    SubscribeResult,
    TooManyCommandsError,
    UnsubscribeResult,
)
from protocols.wire.codec_protobuf import ProtobufCodec
from realtime.limits import MESSAGE_BYTES_MAX

codec = ProtobufCodec()
uint32 = st.integers(1, 0xFFFF_FFFF)
offsets = st.integers(0, (1 << 63) - 1)


def varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def frame(*commands: sdk.Command) -> bytes:
    return b"".join(varint(len(m)) + m for m in (command.SerializeToString() for command in commands))


def replies(data: bytes) -> list[sdk.Reply]:
    found = []
    while data:
        size = shift = used = 0
        while True:
            size |= (data[used] & 0x7F) << shift
            shift += 7
            used += 1
            if data[used - 1] < 0x80:
                break
        found.append(sdk.Reply.FromString(data[used : used + size]))
        data = data[used + size :]
    return found


def test_schema_is_what_the_generated_module_says(tmp_path):
    root = Path(protocols.wire.centrifuge_pb2.__file__).parents[2]
    out = tmp_path / "descriptors"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{root}",
            f"-o{out}",
            "protocols/wire/centrifuge.proto",
        ],
        check=True,
        cwd=root,
    )
    [regenerated] = FileDescriptorSet.FromString(out.read_bytes()).file
    committed = FileDescriptorProto()
    protocols.wire.centrifuge_pb2.DESCRIPTOR.CopyToProto(committed)
    regenerated.ClearField("source_code_info")
    for (
        message
    ) in regenerated.message_type:  # protoc fills json names in; the runtime leaves default ones out
        for holder in (message, *message.nested_type):
            for field in holder.field:
                field.ClearField("json_name")
    for message in committed.message_type:
        for holder in (message, *message.nested_type):
            for field in holder.field:
                field.ClearField("json_name")
    assert committed == regenerated


def test_schema_agrees_with_the_sdk_on_every_field_both_know():
    ours = protocols.wire.centrifuge_pb2.DESCRIPTOR.message_types_by_name
    compared = 0
    for name, theirs in sdk.DESCRIPTOR.message_types_by_name.items():
        for field in theirs.fields if name in ours else ():
            twin = ours[name].fields_by_name.get(field.name)
            if twin is not None:
                assert (twin.number, twin.type, twin.is_repeated) == (
                    field.number,
                    field.type,
                    field.is_repeated,
                )
                compared += 1
    assert compared > 100


def test_commands_come_in_order():
    data = frame(
        sdk.Command(id=1, connect=sdk.ConnectRequest(token="t", subs={"a": sdk.SubscribeRequest(offset=5)})),
        sdk.Command(id=2, rpc=sdk.RPCRequest(method="m", data=b"{}")),
        sdk.Command(),
        sdk.Command(
            id=3, history=sdk.HistoryRequest(channel="c", limit=-1, since=sdk.StreamPosition(offset=4))
        ),
    )
    connect, rpc, pong, history = codec.decode_commands(data, 9)
    assert connect.connect.subs["a"].offset == 5
    assert (rpc.rpc.method, bytes(rpc.rpc.data)) == ("m", b"{}")
    assert pong == Command()
    assert (history.history.limit, history.history.since.offset) == (-1, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05",
        b"\x05ab",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x80",
        b"\x02\xff\xff",
        frame(sdk.Command(subscribe=sdk.SubscribeRequest(channel="c", offset=1 << 63))),
        b"\x04\x6a\x02\x12\x09",
        b"\x05\x08\x01\x6a\x02\x12",
    ],
)
def test_malformed_frame_is_refused(data):
    with pytest.raises(CodecError):
        codec.decode_commands(data, 9)


def test_commands_above_the_bound_are_refused_one_by_one_and_twice_as_many_together():
    assert codec.decode_commands(b"\x00" * 9, 9) == [Command()] * 9
    commands = codec.decode_commands(b"".join(b"\x02\x08%c" % n for n in range(1, 11)), 9)
    assert commands == [*(Command(n) for n in range(1, 10)), RefusedCommand(10, code=111)]
    assert len(codec.decode_commands(b"\x00" * 18, 9)) == 18
    with pytest.raises(TooManyCommandsError):
        codec.decode_commands(b"\x00" * 19, 9)


def test_a_command_that_cannot_be_decoded_is_refused_alone():
    no_text = b"\x08\x07\x6a\x03\x12\x01\xff"
    offset = sdk.Command(
        id=7, subscribe=sdk.SubscribeRequest(channel="c", offset=1 << 63)
    ).SerializeToString()
    for bad in (no_text, offset):
        commands = codec.decode_commands(b"\x02\x08\x01%c%b\x02\x08\x02" % (len(bad), bad), 9)
        assert commands == [Command(1), RefusedCommand(7, code=107), Command(2)]


def nested(depth: int) -> sdk.FilterNode:
    node = sdk.FilterNode()
    for _ in range(depth):
        node = sdk.FilterNode(nodes=[node])
    return node


@pytest.mark.parametrize(
    "command",
    [
        sdk.Command(
            id=1, connect=sdk.ConnectRequest(subs={str(n): sdk.SubscribeRequest() for n in range(6_000)})
        ),
        sdk.Command(
            id=1, subscribe=sdk.SubscribeRequest(tf=sdk.FilterNode(nodes=[sdk.FilterNode()] * 32_000))
        ),
        sdk.Command(id=1, subscribe=sdk.SubscribeRequest(tf=nested(90))),
    ],
    ids=["subs", "nodes", "deep nodes"],
)
def test_hostile_message_of_full_size_takes_bounded_memory(command):
    data = frame(command)
    assert len(data) <= MESSAGE_BYTES_MAX
    tracemalloc.start()
    with contextlib.suppress(CodecError):
        codec.decode_commands(data, 256)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 << 20


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data):
    with contextlib.suppress(CodecError):
        assert codec.decode_commands(data, 9)


@given(uint32, st.binary(max_size=300), offsets, offsets, st.text(max_size=10))
def test_sdk_reads_what_we_write(command_id, data, number, at_ms, text):
    publication = codec.publication(number, data, at_ms, "")
    [push] = codec.push_publications("c" + text, [publication])
    embedded = codec.embed([publication])
    subscribe = SubscribeResult(
        recoverable=True, epoch=text, publications=embedded, recovered=True, offset=number, positioned=True
    )
    joined = codec.join(
        [
            push,
            codec.reply(command_id, subscribe),
            codec.reply(
                command_id,
                ConnectResult(client="k", data=Raw(data), ping=25, pong=True, subs={"s" + text: subscribe}),
            ),
            codec.reply(command_id, HistoryResult(embedded, "e", number)),
            codec.rpc_reply(command_id, data),
            codec.error_reply(command_id, 107, text, temporary=True),
            codec.reply(command_id, UnsubscribeResult()),
            codec.reply(command_id, RefreshResult(client="k", expires=True, ttl=5)),
            codec.push_disconnect(3008, "slow"),
            codec.push_unsubscribe("c", 2500, "gap"),
        ]
    )
    pushed, subscribed, connected, history, rpc, error, unsubscribed, refresh, gone, left = replies(joined)
    expected = sdk.Publication(data=data, offset=number, time=at_ms)
    assert pushed.push.channel == "c" + text
    assert pushed.push.pub == expected
    assert subscribed.id == command_id
    assert subscribed.subscribe.publications == [expected]
    assert (subscribed.subscribe.offset, subscribed.subscribe.recovered) == (number, True)
    assert connected.connect.subs["s" + text].publications == [expected]
    assert connected.connect.data == data
    assert (history.history.offset, list(history.history.publications)) == (number, [expected])
    assert rpc.rpc.data == data
    assert (error.error.code, error.error.message, error.error.temporary) == (107, text, True)
    assert unsubscribed.HasField("unsubscribe")
    assert (refresh.refresh.ttl, refresh.refresh.expires) == (5, True)
    assert (gone.push.disconnect.code, gone.push.disconnect.reason) == (3008, "slow")
    assert (left.push.channel, left.push.unsubscribe.code) == ("c", 2500)


def test_publication_carries_its_key():
    message = protocols.wire.centrifuge_pb2.Publication.FromString(codec.publication(1, b"1", 0, "trip"))
    assert (message.key, message.data, message.offset) == ("trip", b"1", 1)
