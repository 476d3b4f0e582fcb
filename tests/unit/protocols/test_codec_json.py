"""The JSON codec: one object a line, zero values left out unless clients read them.

Nothing a client sends makes it crash.
"""

import contextlib
import json
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from protocols.wire.centrifuge import (
    ClientInfo,
    CodecError,
    Command,
    ConnectResult,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    RefreshResult,
    RefusedCommand,
    SubscribeResult,
    TooManyCommandsError,
    UnsubscribeResult,
)
from protocols.wire.codec_json import JsonCodec
from realtime.limits import MESSAGE_BYTES_MAX

codec = JsonCodec()


def test_commands_come_in_order_one_a_line():
    commands = codec.decode_commands(
        b'{"id":1,"connect":{"token":"t"}}\n{"id":2,"subscribe":{"channel":"c"}}\n', 9
    )
    assert [command.id for command in commands] == [1, 2]
    assert commands[0].connect.token == "t"
    assert commands[1].subscribe.channel == "c"


def test_unknown_fields_are_ignored_and_embedded_data_stays_as_it_is():
    [command] = codec.decode_commands(b'{"id":3,"rpc":{"method":"m","data":{"b": [1, 2]},"new":1},"x":{}}', 9)
    assert bytes(command.rpc.data) == b'{"b": [1, 2]}'


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":7,"rpc":{"method":"m","data":{"a":1},"data":{"a":2}}}',
        b'{"id":7,"rpc":{"data":1,"data":2}}',
        b'{"id":7,"rpc":{"method":"m","method":"n"}}',
        b'{"id":7,"rpc":{"method":"m"},"rpc":{"method":"m"}}',
        b'{"id":6,"id":7,"rpc":{"method":"m","data":{}}}',
        b'{"id":7,"rpc":{"method":"m","data":{},"d\\u0061ta":{":":"\\u003a"}}}',
        b'{"id":7,"subscribe":{"channel":"a:1","channel":"a:2"}}',
        b'{"id":7,"subscribe":{"channel":"a"},"subscribe":{"channel":"b"}}',
        b'{"id":7,"connect":{"subs":{"a":{"offset":1,"offset":2}}}}',
        b'{"id":7,"x":1,"x":2}',
    ],
)
def test_a_command_that_names_a_member_twice_stands_alone(line):
    before = b'{"id":1,"rpc":{"method":"m","data":{"a":1,"a":2,"\\u003a":":"}}}'
    commands = codec.decode_commands(before + b"\n" + line + b"\n" + b'{"id":9,"ping":{}}', 9)
    assert [(type(command), command.id) for command in commands] == [
        (Command, 1),
        (RefusedCommand, 7),
        (Command, 9),
    ]
    assert codec.decode_commands(line, 9) == [RefusedCommand(7)]


_INNER = st.lists(
    st.sampled_from(
        ['"method":"m"', '"method":""', '"data":1', '"data":{}', '"data":{"a":1,"a":2}', '"":1', '"x":":"']
    ),
    max_size=4,
)
_OUTER = st.lists(
    st.sampled_from(['"id":7', '"id":77777777', '"id":0', '"":1', '"ping":{}', '"x":1']), max_size=3
)


@given(_OUTER, _INNER, _OUTER, st.booleans())
def test_an_rpc_repeats_a_member_or_not_whatever_its_length(before, inner, after, spaced):
    outer = [*before, '"rpc":{' + ",".join(inner) + "}", *after]
    line = ("{" + ",".join(outer) + "}").encode()
    if spaced:
        line = line.replace(b",", b", ")
    names = [[member.split(":")[0] for member in members] for members in (outer, inner)]
    repeated = any(len(set(found)) < len(found) for found in names)
    try:
        (command,) = codec.decode_commands(line, 9)
    except CodecError:
        assert repeated
    else:
        assert isinstance(command, RefusedCommand) == repeated


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":7,"rpc":{"method":"a:b","data":{"id":1,"rpc":{"data":":"}}}}',
        b'{"id":0,"rpc":{"method":"","data":{}, "\\u003a":"\\u003a"},":":"rpc","y":{"id":1}}',
        b'{"id":7,"subscribe":{"channel":"auctions:1","data":{"channel":"auctions:2","id":7}}}',
        b'{"rpc":null,"id":7,"send":{"data":":"}}',
    ],
)
def test_names_may_come_again_in_other_objects(line):
    (command,) = codec.decode_commands(line, 9)
    assert type(command) is Command


def test_empty_object_is_a_pong():
    assert codec.decode_commands(b"{}", 9) == [Command()]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\n",
        b"{",
        b"[]",
        b"null",
        b"{}{}",
        b'{"id":-1}',
        b'{"id":4294967296}',
        b'{"id":"1"}',
        b'{"id":1}\nx',
        b'{"id":1,"rpc":{"method":"m","data":"',
        b'{"rpc":{"method":7}}',
        b'{"id":0,"rpc":{"method":7}}',
        b'{"rpc":{"method":7,"id":3}}',
        b'{"rpc":{"method":7},"id":99999999999}',
    ],
)
def test_malformed_frame_is_refused(frame):
    with pytest.raises(CodecError):
        codec.decode_commands(frame, 9)


@pytest.mark.parametrize(
    "command",
    [
        b'{"id":7,"connect":[]}',
        b'{"id":7,"subscribe":{"channel":7}}',
        b'{"id":7,"subscribe":{"channel":"c","offset":-1}}',
        b'{"id":7,"subscribe":{"channel":"c","offset":18446744073709551615}}',
        b'{"id":7,"rpc":{"method":"m","data":}}',
        b'{"id":7,"rpc":{"method":"m","data":"\xff"}}',
        b'{"id":7,"rpc":{"method":"\xed\xa0\x80"}}',
        b'{"id":7,"rpc":{"method":"m","data":"\\ud83d"}}',
        b'{"rpc":{"method":"m","data":"\\ud83d"},"id":7}',
        b'{"rpc":{"method":"m","data":{"id":3,"x":"\\ud83d"}} , "id" : 7 } ',
        b'{"id":7,"rpc":{"data":' + b"[" * 990 + b"]" * 990 + b"}}",
        b'{"rpc":{"data":' + b"[" * 30_000 + b"]" * 30_000 + b'},"id":7}',
    ],
)
def test_a_command_that_cannot_be_decoded_is_refused_alone(command):
    [refused] = codec.decode_commands(command, 9)
    assert refused == RefusedCommand(7, code=107)
    before, refused, behind = codec.decode_commands(b'{"id":1}\n' + command + b'\n{"id":2}', 9)
    assert (before, refused, behind) == (Command(1), RefusedCommand(7, code=107), Command(2))


def test_commands_above_the_bound_are_refused_one_by_one_and_twice_as_many_together():
    assert codec.decode_commands(b"\n".join([b"{}"] * 9) + b"\n", 9) == [Command()] * 9
    commands = codec.decode_commands(b"\n".join(b'{"id":%d}' % n for n in range(1, 11)), 9)
    assert commands == [*(Command(n) for n in range(1, 10)), RefusedCommand(10, code=111)]
    assert len(codec.decode_commands(b"\n".join([b"{}"] * 18), 9)) == 18
    with pytest.raises(TooManyCommandsError):
        codec.decode_commands(b"\n".join([b"{}"] * 20), 9)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data):
    with contextlib.suppress(CodecError):
        assert codec.decode_commands(data, 9)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"id":1,"connect":{"subs":{%s}}}' % b",".join(b'"%d":{}' % n for n in range(6_500)),
        b'{"id":1,"subscribe":{"channel":"c","tf":{"nodes":[%s]}}}' % b",".join([b"{}"] * 21_000),
        b'{"id":1,"subscribe":{"channel":"c","tf":%s%s}}' % (b'{"nodes":[' * 6_000, b"]}" * 2_000),
        b'{"id":1,"rpc":{"data":%s%s}}' % (b"[" * 32_000, b"]" * 32_000),
        b"{}\n" * 21_000,
    ],
    ids=["subs", "nodes", "deep nodes", "deep data", "commands"],
)
def test_hostile_message_of_full_size_takes_bounded_memory(frame):
    assert len(frame) <= MESSAGE_BYTES_MAX
    tracemalloc.start()
    with contextlib.suppress(CodecError):
        codec.decode_commands(frame, 256)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 << 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_embedded_json_never_carries_a_raw_newline_and_keeps_its_value(value):
    pretty = json.dumps(value, indent=1).encode()
    publication = codec.publication(7, pretty, 5, "")
    assert b"\n" not in publication
    assert json.loads(publication) == {"data": value, "offset": 7, "time": 5}
    reply = codec.rpc_reply(3, pretty)
    assert b"\n" not in reply
    assert json.loads(reply) == {"id": 3, "rpc": {"data": value}}


@given(st.text(max_size=20), st.text(max_size=20))
def test_names_and_texts_are_escaped(channel, message):
    [push] = codec.push_publications(channel, [codec.publication(1, b"1", 0, message)])
    pushed = json.loads(push)["push"]
    assert pushed["channel"] == channel
    assert pushed["pub"].get("key", "") == message
    error = json.loads(codec.error_reply(4, 107, message, temporary=True))
    assert error == {"id": 4, "error": {"code": 107, "message": message, "temporary": True}}


def test_zero_values_are_left_out_and_empty_results_are_objects():
    assert codec.reply(3, UnsubscribeResult()) == b'{"id":3,"unsubscribe":{}}'
    assert codec.reply(3, RefreshResult(client="c")) == b'{"id":3,"refresh":{"client":"c"}}'
    assert codec.rpc_reply(3, b"") == b'{"id":3,"rpc":{}}'
    assert codec.reply(1, SubscribeResult(epoch="e")) == b'{"id":1,"subscribe":{"epoch":"e"}}'


def test_what_clients_read_without_a_default_is_written_when_it_is_zero():
    stats = codec.reply(3, PresenceStatsResult())
    assert stats == b'{"id":3,"presence_stats":{"num_clients":0,"num_users":0}}'
    history = codec.reply(3, HistoryResult())
    assert history == b'{"id":3,"history":{"publications":[],"epoch":"","offset":0}}'
    assert codec.reply(3, PresenceResult()) == b'{"id":3,"presence":{"presence":{}}}'
    assert msgspec.json.encode(ClientInfo(client="c")) == b'{"user":"","client":"c"}'


def test_results_embed_publications():
    embedded = codec.embed([codec.publication(1, b'{"a":1}', 9, "")])
    reply = json.loads(codec.reply(2, HistoryResult(embedded, "e", 1)))
    assert reply["history"] == {
        "publications": [{"data": {"a": 1}, "offset": 1, "time": 9}],
        "epoch": "e",
        "offset": 1,
    }
    sub = SubscribeResult(publications=embedded, recovered=True)
    reply = json.loads(codec.reply(2, ConnectResult(client="c", subs={"x": sub})))
    assert reply["connect"]["subs"]["x"]["publications"][0]["offset"] == 1
    assert "data" not in reply["connect"]
    reply = json.loads(codec.reply(2, ConnectResult(client="c", data=Raw(b'{"a":1}'))))
    assert reply["connect"] == {"client": "c", "data": {"a": 1}}


def test_pushes_of_the_server():
    assert json.loads(codec.push_disconnect(3001, "shutdown")) == {
        "push": {"disconnect": {"code": 3001, "reason": "shutdown"}}
    }
    assert json.loads(codec.push_unsubscribe("c", 2500, "gap")) == {
        "push": {"channel": "c", "unsubscribe": {"code": 2500, "reason": "gap"}}
    }
