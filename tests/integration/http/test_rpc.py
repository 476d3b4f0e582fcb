"""The RPC half of the door: error replies, replays, unknown methods, bugs, and futures without tasks."""

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs

from handlers.contract import ANONYMOUS
from protocols.errors import TemporarilyUnavailable
from protocols.values import new_id
from realtime.hooks import Cause, Connected, Disconnected, Hooks, notify
from realtime.ports import ConnectRequestContext, Identity, ProtocolError
from server.commands import pipeline, table
from server.commands.access_log import LoggedCommands, log_connections
from server.commands.pipeline import check_permission
from server.commands.table import OR_REFUSAL
from server.domains import ROUTES


async def refused(door, method, data, caller):
    with pytest.raises(ProtocolError) as raised:
        await door.table.call(method, data, caller)
    return raised.value


async def test_an_unknown_method_is_104_and_makes_no_label(door):
    error = await refused(door, "nope.none", b"{}", ANONYMOUS)
    assert (error.code, error.message, error.temporary) == (104, "method not found", False)
    assert b"nope.none" not in door.metrics.render()


async def test_a_refusal_carries_word_sentence_and_facts(door):
    caller, _ = door.sign_in()
    error = await refused(door, "notes.write_note", b'{"text":"dull","key":"k"}', caller)
    assert (error.code, error.temporary) == (1999, False)
    assert error.message.startswith("note_too_dull: Nobody would read it {")
    assert msgspec.json.decode(error.message.split("it ", 1)[1])["dullness"] == 9


async def test_bad_input_names_the_place(door):
    caller, _ = door.sign_in()
    error = await refused(door, "counters.add_up_together", b'{"counter_id":"x","amount":1}', caller)
    assert error.code == 400
    assert error.message == (
        'invalid_input: Invalid UUID {"errors":[{"pointer":"/counter_id","detail":"Invalid UUID"}]}'
    )


async def test_a_bug_is_internal_with_a_trace_id_and_no_detail(door):
    caller, _ = door.sign_in()
    error = await refused(door, "notes.write_note", b'{"text":"bug","key":"k"}', caller)
    assert (error.code, error.temporary) == (451, True)
    assert "secret" not in error.message
    assert '"trace_id":"' in error.message


@pytest.mark.parametrize("method", ["counters.add_up", "counters.add_up_together"])
async def test_a_refused_command_changes_nothing_and_the_next_works(door, method):
    caller, _ = door.sign_in()
    counter_id = await door.counter()
    data = '{{"counter_id":"{}","amount":{},"key":"{}"}}'
    error = await refused(door, method, data.format(new_id(), 5, new_id()).encode(), caller)
    assert error.code == 403
    answer = await door.table.call(method, data.format(counter_id, 5, new_id()).encode(), caller)
    assert msgspec.json.decode(answer) == {"value": 5}


@pytest.mark.parametrize("method", ["counters.add_up", "counters.add_up_together"])
async def test_the_permission_is_checked_once_and_before_the_data_is_decoded(door, method, monkeypatch):
    checked = []

    def check(route, caller):
        checked.append(route.name)
        check_permission(route, caller)

    for module in (pipeline, table):
        monkeypatch.setattr(module, "check_permission", check)
    assert (await refused(door, method, b"no JSON", ANONYMOUS)).code == 401
    caller, _ = door.sign_in()
    data = msgspec.json.encode({"counter_id": await door.counter(), "amount": 1, "key": str(new_id())})
    await door.table.call(method, data, caller)
    assert checked == [method, method]


async def test_a_query_without_data_runs(door):
    for data in (b"", b"null", b"{}"):
        assert "items" in msgspec.json.decode(await door.table.call("notes.find_notes", data, ANONYMOUS))


async def test_grouped_commands_make_no_task(door):
    caller, _ = door.sign_in()
    counter_id = await door.counter()
    before = len(asyncio.all_tasks())
    futures = [
        door.table.call(
            "counters.add_up_together",
            msgspec.json.encode({"counter_id": counter_id, "amount": 1, "key": str(i)}),
            caller,
        )
        for i in range(50)
    ]
    assert len(asyncio.all_tasks()) == before
    values = [msgspec.json.decode(body)["value"] for body in await asyncio.gather(*futures)]
    assert values == list(range(1, 51))


async def test_a_caller_that_stops_waiting_harms_nobody(door):
    caller, _ = door.sign_in()
    counter_id = await door.counter()
    data = msgspec.json.encode({"counter_id": counter_id, "amount": 1, "key": "a"})
    door.table.call("counters.add_up_together", data, caller)  # and never look at it
    again = await door.table.call("counters.add_up_together", data, caller)
    assert msgspec.json.decode(again) == {"value": 1, "replayed": True}


async def test_a_stranger_cannot_keep_a_key(door):
    """Keys are kept per user: one of nobody would be everybody's."""
    error = await refused(
        door,
        "counters.add_up",
        b'{"counter_id":"%s","amount":1,"key":"k"}' % str(new_id()).encode(),
        ANONYMOUS,
    )
    assert error.code == 401


@pytest.mark.parametrize("method", ["counters.add_up", "counters.add_up_together"])
async def test_a_method_that_takes_a_refusal_answers_it_as_the_problem_document(door, method):
    caller, _ = door.sign_in()
    data = '{{"counter_id":"{}","amount":5,"key":"{}"}}'
    error = await refused(door, method + OR_REFUSAL, data.format(new_id(), new_id()).encode(), caller)
    told = msgspec.json.decode(error.reply)["refusal"]
    assert (told["code"], told["number"], told["status"], told["temporary"]) == ("not_found", 403, 404, False)
    counter_id = await door.counter()
    answer = await door.table.call(method + OR_REFUSAL, data.format(counter_id, new_id()).encode(), caller)
    assert msgspec.json.decode(answer) == {"value": 5}


async def test_facts_of_a_refusal_are_members_and_the_error_stays_as_it_is(door):
    caller, _ = door.sign_in()
    data = b'{"text":"dull","key":"k"}'
    plain = await refused(door, "notes.write_note", data, caller)
    asked = await refused(door, "notes.write_note.or_refusal", data, caller)
    assert plain.reply == b""
    assert (asked.code, asked.message, asked.temporary) == (plain.code, plain.message, plain.temporary)
    told = msgspec.json.decode(asked.reply)["refusal"]
    assert (told["code"], told["detail"], told["dullness"]) == ("note_too_dull", "Nobody would read it", 9)
    assert "trace_id" not in told
    malformed = await refused(door, "notes.write_note.or_refusal", b"[", caller)
    assert msgspec.json.decode(malformed.reply)["refusal"]["errors"][0]["pointer"] == ""
    bug = await refused(door, "notes.write_note.or_refusal", b'{"text":"bug","key":"k2"}', caller)
    told = msgspec.json.decode(bug.reply)["refusal"]
    assert (told["code"], told["temporary"], len(told["trace_id"])) == ("internal", True, 36)
    assert "secret" not in bug.reply.decode()


async def test_an_unknown_method_is_no_refusal(door):
    error = await refused(door, "nope.none.or_refusal", b"{}", ANONYMOUS)
    assert (error.code, error.reply) == (104, b"")


def test_no_answer_has_a_member_that_looks_like_a_refusal():
    assert [
        route.name for route in ROUTES if "refusal" in getattr(route.reply, "__struct_fields__", ())
    ] == []


# -- Outages and the access log ----------------------------------------------------------------------------------------


def fail_with(error):
    """Return what stands for both doors of the pipeline while an engine is away."""

    async def run(*_):
        raise error

    def submit(_route, _value, _caller, settle):
        settle(error)

    return {"run": run, "submit": submit}


def away() -> TemporarilyUnavailable:
    error = TemporarilyUnavailable("The database is away")
    error.__cause__ = ConnectionRefusedError(f"nobody listens at {new_id()}")
    return error


@pytest.mark.parametrize("method", ["counters.add_up", "counters.add_up_together"])
async def test_an_outage_has_a_trace_id_by_which_the_log_tells_its_cause(door, method, monkeypatch):
    caller, _ = door.sign_in()
    error = away()
    for name, stand_in in fail_with(error).items():
        monkeypatch.setattr(door.table._pipeline, name, stand_in)
    data = f'{{"counter_id":"{new_id()}","amount":5,"key":"{new_id()}"}}'.encode()
    with capture_logs() as logs:
        told = await refused(door, method, data, caller)
        again = await refused(door, method + OR_REFUSAL, data, caller)
    (line,) = logs
    assert (line["event"], line["command"]) == ("command_unavailable", method)
    assert line["cause"] == f"ConnectionRefusedError: {error.__cause__}"
    sentence, _, facts = told.message.partition(" {")
    assert sentence == "temporarily_unavailable: The database is away"
    assert msgspec.json.decode("{" + facts) == {"trace_id": line["trace_id"]}
    assert msgspec.json.decode(again.reply)["refusal"]["trace_id"] == line["trace_id"]


@pytest.mark.parametrize("method", ["counters.add_up", "counters.add_up_together"])
async def test_with_an_access_log_each_rpc_is_a_line(door, method, monkeypatch):
    caller, _ = door.sign_in()
    logged = LoggedCommands(door.table)
    counter_id = await door.counter()
    data = '{{"counter_id":"{}","amount":5,"key":"{}"}}'

    async def call(name: str, text: str):
        answered = asyncio.get_running_loop().create_future()
        logged.call(name, text.encode(), caller).add_done_callback(answered.set_result)
        return await answered

    with capture_logs() as logs:
        reply = await call(method, data.format(counter_id, new_id()))
        assert msgspec.json.decode(reply.result()) == {"value": 5}
        assert (await call(method, data.format(new_id(), new_id()))).exception().code == 403
        with pytest.raises(ProtocolError):
            logged.call("secret.method", b"{}", caller)
        for name, stand_in in fail_with(away()).items():
            monkeypatch.setattr(door.table._pipeline, name, stand_in)
        error = (await call(method, data.format(counter_id, new_id()))).exception()
    lines = [line for line in logs if line["event"] == "rpc"]
    assert [(line["method"], line["code"]) for line in lines] == [
        (method, "ok"),
        (method, "not_found"),
        ("unknown", "method not found"),
        (method, "temporarily_unavailable"),
    ]
    assert all(line["ms"] >= 0 and line["user_id"] == str(caller.user_id) for line in lines)
    assert lines[3]["trace_id"] == error.trace_id != ""
    assert ["trace_id" in line for line in lines[:3]] == [False] * 3


def test_the_end_of_a_connection_is_a_line():
    hooks = Hooks()
    log_connections(hooks)
    whom, context = Identity(user="ada"), ConnectRequestContext("", "192.0.2.7", "http_stream")
    with capture_logs() as logs:
        notify(hooks.disconnected, Disconnected("", Identity(), context, Cause.LOST, 1006, ""))
        logs.clear()
        notify(hooks.connected, Connected("c-1", whom, context))
        notify(hooks.disconnected, Disconnected("c-1", whom, context, Cause.SLOW, 3008, "slow"))
    (line,) = logs
    assert line["ms"] >= 0
    assert {name: line[name] for name in ("event", "transport", "cause", "code", "user_id")} == {
        "event": "connection_ended",
        "transport": "http_stream",
        "cause": "slow",
        "code": 3008,
        "user_id": "ada",
    }
    assert "192.0.2.7" not in str(line)
