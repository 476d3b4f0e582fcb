"""Routes over real HTTP: arguments, answers, keys, conditional requests, permissions."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from protocols.values import new_id
from realtime.ports import ProtocolError
from server.http.arguments import LENIENT_BYTES_MAX


async def write(http, who, key_header, text="hello", **fields):
    return await http.post("/v1/notes", json={"text": text, **fields}, headers={**who, **key_header})


def code(answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["trace_id"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail", "number"} <= problem.keys()
    return answer.status_code, problem["code"]


async def test_a_command_is_answered_with_its_reply_and_status(http, door, key):
    _, me = door.sign_in()
    answer = await write(http, me, key)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"id": answer.json()["id"], "text": "hello", "version": 1}


async def test_what_was_made_says_where_it_is_read(http, door, key):
    _, me = door.sign_in()
    for _ in range(2):  # also when it is the first answer again
        made = await write(http, me, key)
        read = await http.get(made.headers["location"], headers=me)
        assert read.json() == made.json()
    read = await http.get("/v1/notes", headers=me)
    assert "location" not in read.headers


async def test_query_parameters_become_the_types_of_the_command(http, door, key):
    _, me = door.sign_in()
    await write(http, me, key, text="LOUD ONE")
    answer = await http.get("/v1/notes", params={"q": "loud one", "loud": "true", "limit": "5", "stars": "3"})
    assert [note["text"] for note in answer.json()["items"]] == ["LOUD ONE"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=x", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("nope=1", "/nope"),
        ("q=" + "x" * 51, "/q"),
        ("q=%00", "/q"),
        ("q=%ff", ""),
        ("stars=1e3", "/stars"),
        ("loud=perhaps", "/loud"),
        ("x=" + "y" * 9000, ""),
        ("&".join(f"a{i}=1" for i in range(100)), ""),
        ("limit=9999999999999999999999", "/limit"),
    ],
)
async def test_a_bad_query_is_refused_with_its_place(http, query, pointer):
    answer = await http.get(f"/v1/notes?{query}")
    assert code(answer) == (400, "invalid_input")
    assert answer.json()["errors"][0]["pointer"] == pointer


BAD_BODIES = [
    (b"{", 400, "invalid_input", ""),
    (b"[]", 400, "invalid_input", ""),
    (b'"text"', 400, "invalid_input", ""),
    (b"", 400, "invalid_input", "/text"),
    (b"{}", 400, "invalid_input", "/text"),
    (b'{"text":1}', 400, "invalid_input", "/text"),
    (b'{"text":null}', 400, "invalid_input", "/text"),
    (b'{"text":""}', 400, "invalid_input", "/text"),
    (b'{"text":"a","stars":"1"}', 400, "invalid_input", "/stars"),
    (b'{"text":"a","stars":1.5}', 400, "invalid_input", "/stars"),
    (b'{"text":"a","stars":-1}', 400, "invalid_input", "/stars"),
    (b'{"text":"a","tags":["a",7]}', 400, "invalid_input", "/tags/1"),
    (b'{"text":"a","nope":7}', 400, "invalid_input", "/nope"),
    (b'{"text":"a\\u0000"}', 400, "invalid_input", ""),
    (b'{"text":"\xff"}', 400, "invalid_input", ""),
    (b'{"text":"a"}garbage', 400, "invalid_input", ""),
    (b'{"text":NaN}', 400, "invalid_input", ""),
    (b'{"text":"a","stars":Infinity}', 400, "invalid_input", ""),
    (b'{"text":"a","stars":1e999}', 400, "invalid_input", None),
    (b'{"text":"a","stars":99999999999999999999999999}', 400, "invalid_input", "/stars"),
    (b'{"text":"a","attributes":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "invalid_input", ""),
    (b'{"text":"a","attributes":' + b'{"a":' * 60 + b"1" + b"}" * 60 + b"}", 400, "invalid_input", ""),
    (b'{"text":"a","attributes":{"n":' + b"9" * 6000 + b"}}", 400, "invalid_input", None),
    (b'{"text":"' + b"a" * 300_000 + b'"}', 413, "payload_too_large", None),
]


@pytest.mark.parametrize(("body", "status", "word", "pointer"), BAD_BODIES)
async def test_a_bad_body_is_refused_and_changes_nothing(http, door, key, body, status, word, pointer):
    _, me = door.sign_in()
    before = await door.pool.fetchval("SELECT count(*) FROM notes")
    headers = {**me, **key, "Content-Type": "application/json"}
    answer = await http.post("/v1/notes", content=body, headers=headers)
    assert code(answer) == (status, word)
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert await door.pool.fetchval("SELECT count(*) FROM notes") == before


async def test_a_member_that_comes_twice_is_refused_by_both_doors(http, door, key):
    caller, me = door.sign_in()
    before = await door.pool.fetchval("SELECT count(*) FROM notes")
    body = b'{"text":"first","text":"last"}'
    answer = await http.post(
        "/v1/notes", content=body, headers={**me, **key, "Content-Type": "application/json"}
    )
    assert code(answer) == (400, "invalid_input")
    assert answer.json()["errors"][0]["pointer"] == "/text"
    with pytest.raises(ProtocolError, match="names this member twice"):
        await door.table.call("notes.write_note", body[:-1] + b',"key":"other"}', caller)
    assert await door.pool.fetchval("SELECT count(*) FROM notes") == before


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        (["handling=lenient"], 201),
        (['respond-async; wait=5, Handling = "lenient"'], 201),
        (["respond-async", "handling=lenient"], 201),
        (["handling=strict, handling=lenient"], 400),
        (["x=handling=lenient"], 400),
        (["handling"], 400),
    ],
)
async def test_an_unknown_member_is_ignored_when_the_client_prefers_that(http, door, prefer, status):
    _, me = door.sign_in()
    headers = [*me.items(), ("Idempotency-Key", str(new_id())), *(("Prefer", text) for text in prefer)]
    answer = await http.post("/v1/notes", json={"text": "a", "nope": 7}, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("preference-applied") == ("handling=lenient" if status == 201 else None)


async def test_a_large_body_is_read_strictly_whatever_is_preferred(http, door, key):
    _, me = door.sign_in()
    body = {"text": "a", "nope": "x" * LENIENT_BYTES_MAX}
    answer = await http.post("/v1/notes", json=body, headers={**me, **key, "Prefer": "handling=lenient"})
    assert code(answer) == (400, "invalid_input")


async def test_what_is_known_stays_wrong_for_a_lenient_reader(http, door, key):
    _, me = door.sign_in()
    body = {"text": 1, "nope": 7}
    answer = await http.post("/v1/notes", json=body, headers={**me, **key, "Prefer": "handling=lenient"})
    assert answer.json()["errors"][0]["pointer"] == "/text"


async def test_an_unknown_member_is_refused_over_rpc(door):
    caller, _ = door.sign_in()
    with pytest.raises(ProtocolError, match="did you mean `stars`") as refused:
        await door.table.call("notes.write_note", b'{"text":"a","star":1,"key":"k"}', caller)
    assert refused.value.code == 400


async def test_a_body_that_lies_about_its_length_is_still_bounded(http, door, key):
    _, me = door.sign_in()

    async def endless():
        for _ in range(100):
            yield b" " * 10_000

    headers = {**me, **key, "Content-Type": "application/json"}
    answer = await http.post("/v1/notes", content=endless(), headers=headers)
    assert code(answer) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
async def test_a_body_of_another_media_type_is_refused(http, door, key, media_type):
    _, me = door.sign_in()
    headers = {**me, **key, "Content-Type": media_type}
    assert code(await http.post("/v1/notes", content=b'{"text":"a"}', headers=headers)) == (
        415,
        "unsupported_media_type",
    )


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_with_a_charset_is_read(http, door, key, media_type):
    _, me = door.sign_in()
    headers = {**me, **key, "Content-Type": media_type}
    assert (await http.post("/v1/notes", content=b'{"text":"a"}', headers=headers)).status_code == 201


async def test_a_refusal_carries_its_facts_but_cannot_replace_the_problem_members(http, door, key):
    _, me = door.sign_in()
    answer = await write(http, me, key, text="dull")
    assert code(answer) == (409, "note_too_dull")
    assert answer.json()["dullness"] == 9
    assert answer.json()["detail"] == "Nobody would read it"
    assert answer.json()["title"] == "The note is too dull."


async def test_a_bug_is_internal_without_detail(http, door, key, capsys):
    _, me = door.sign_in()
    answer = await write(http, me, key, text="bug")
    assert code(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert "ValueError" not in answer.text


# -- addresses and methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nope", "/v1", "/v1/notes/a/b", "/schema/x", "/v1/counters"])
async def test_an_unknown_address_is_a_problem(http, path):
    answer = await http.get(path)
    assert answer.status_code in {404, 400}
    assert code(answer)[1] in {"not_found", "invalid_input"}


async def test_an_id_that_is_none_is_refused(http):
    answer = await http.get("/v1/notes/not-an-id")
    assert code(answer) == (400, "invalid_input")
    assert answer.json()["errors"] == [{"pointer": "/note_id", "detail": "Invalid UUID"}]


async def test_an_unknown_id_is_not_found(http):
    assert code(await http.get(f"/v1/notes/{new_id()}")) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "TRACE", "LINK"])
async def test_a_method_the_address_lacks_names_the_others(http, method):
    answer = await http.request(method, f"/v1/notes/{new_id()}")
    assert code(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, PATCH, OPTIONS"


async def test_options_names_the_methods(http):
    answer = await http.options("/v1/notes")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "DELETE, GET, HEAD, POST, OPTIONS"


async def test_head_is_get_without_the_body(http):
    get, head = await http.get("/v1/notes?limit=1"), await http.head("/v1/notes?limit=1")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_a_command_with_status_204_has_no_body(http, door):
    _, admin = door.sign_in("admin")
    answer = await http.delete("/v1/notes", headers=admin)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers


# -- permissions ------------------------------------------------------------------------------------------------------

MATRIX = {
    ("GET", "/v1/notes"): {"anonymous": 200, "user": 200, "support": 200, "admin": 200},
    ("POST", "/v1/notes"): {"anonymous": 401, "user": 201, "support": 201, "admin": 201},
    ("GET", "/v1/note-count"): {"anonymous": 401, "user": 403, "support": 200, "admin": 403},
    ("DELETE", "/v1/notes"): {"anonymous": 401, "user": 403, "support": 403, "admin": 204},
}


@pytest.mark.parametrize("who", ["anonymous", "user", "support", "admin"])
@pytest.mark.parametrize("place", list(MATRIX), ids=" ".join)
async def test_who_may_call_what(http, door, key, place, who):
    headers = {"anonymous": {}, "user": door.sign_in()[1]}.get(who) or (
        {} if who == "anonymous" else door.sign_in(*({who} - {"user"}))[1]
    )
    method, path = place
    body = {"json": {"text": "a"}} if method == "POST" else {}
    answer = await http.request(method, path, headers={**headers, **key}, **body)
    assert answer.status_code == MATRIX[place][who]
    if answer.status_code == 401:
        assert code(answer) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if answer.status_code == 403:
        assert code(answer) == (403, "not_allowed")


@pytest.mark.parametrize(
    "method", [route.name for route in __import__("tests.support.notes").support.notes.ROUTES]
)
async def test_rpc_refuses_anonymous_callers_where_rest_does(door, method):
    from handlers.contract import ANONYMOUS, Permission

    command = door.table.commands[method]
    data = b'{"text":"a","key":"k","counter_id":"%s","note_id":"%s","amount":1}' % (
        (str(new_id()).encode(),) * 2
    )
    if method == "notes.write_note":
        data = b'{"text":"a","key":"k"}'
    if not command.route.rpc:
        with pytest.raises(ProtocolError) as raised:
            door.table.call(method, data, ANONYMOUS)
        assert raised.value.code == 104
        return
    try:
        await door.table.call(method, data, ANONYMOUS)
        refused = None
    except ProtocolError as error:
        refused = error.code
    assert (refused == 401) == (command.route.permission is not Permission.ANYONE)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("Bearer", "invalid_request"),
        ("Basic dXNlcjpwYXNz", "invalid_request"),
        ("Bearer a b", "invalid_request"),
        ("Bearer ä", "invalid_request"),
        ("Bearer " + "a" * 9000, "invalid_request"),
        ("Bearer unknown", "invalid_token"),
    ],
)
async def test_a_bad_authorization_is_refused_even_where_anyone_may_call(http, given, reason):
    answer = await http.get("/v1/notes", headers={"Authorization": given.encode("latin-1")})
    assert code(answer) == (401, "unauthenticated")
    assert f'error="{reason}"' in answer.headers["www-authenticate"]


async def test_two_authorization_headers_are_refused(http, door):
    _, me = door.sign_in()
    headers = [("Authorization", me["Authorization"]), ("Authorization", "Bearer other")]
    assert code(await http.get("/v1/notes", headers=headers)) == (400, "invalid_input")


# -- idempotency ------------------------------------------------------------------------------------------------------


async def test_a_keyed_command_without_a_key_is_refused(http, door):
    _, me = door.sign_in()
    assert code(await write(http, me, {})) == (400, "key_required")


async def test_a_repeated_key_returns_the_first_answer_and_says_so(http, door, key):
    _, me = door.sign_in()
    first, second = await write(http, me, key), await write(http, me, key)
    assert second.content == first.content
    assert second.status_code == 201
    assert "idempotent-replay" not in first.headers
    assert second.headers["idempotent-replay"] == "true"


async def test_a_key_with_another_payload_is_refused(http, door, key):
    _, me = door.sign_in()
    await write(http, me, key)
    assert code(await write(http, me, key, text="other")) == (422, "key_reused")


async def test_the_header_may_be_quoted_and_means_the_field(http, door):
    _, me = door.sign_in()
    first = await write(http, me, {"Idempotency-Key": '"abc"'})
    again = await write(http, me, {}, key="abc")
    assert again.content == first.content
    assert again.headers["idempotent-replay"] == "true"


async def test_a_body_key_that_contradicts_the_header_is_refused(http, door, key):
    _, me = door.sign_in()
    answer = await write(http, me, key, key="other")
    assert code(answer) == (400, "invalid_input")
    assert answer.json()["errors"][0]["pointer"] == "/key"


async def test_a_key_that_is_too_long_is_refused(http, door):
    _, me = door.sign_in()
    answer = await write(http, me, {"Idempotency-Key": "k" * 65})
    assert code(answer) == (400, "invalid_input")


@pytest.mark.parametrize("verb", ["add", "add-together"])
async def test_twenty_racing_repeats_over_both_doors_have_one_effect(http, door, verb):
    caller, me = door.sign_in()
    counter_id = await door.counter()
    name = {"add": "counters.add_up", "add-together": "counters.add_up_together"}[verb]
    data = msgspec.json.encode({"counter_id": counter_id, "amount": 7, "key": "same"})

    async def over_rest():
        headers = {**me, "Idempotency-Key": "same"}
        answer = await http.post(f"/v1/counters/{counter_id}/{verb}", json={"amount": 7}, headers=headers)
        return answer.json().get("value", answer.json().get("code"))

    async def over_rpc():
        try:
            return msgspec.json.decode(await door.table.call(name, data, caller))["value"]
        except ProtocolError as error:
            return error.message.split(":")[0]

    answers = await asyncio.gather(*(f() for _ in range(10) for f in (over_rest, over_rpc)))
    assert 7 in answers
    assert set(answers) <= {7, "key_in_flight"}
    assert await door.pool.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id) == 7
    replay = msgspec.json.decode(await door.table.call(name, data, caller))
    assert replay == {"value": 7, "replayed": True}


async def test_a_body_that_contradicts_the_path_is_refused(http, door, key):
    _, me = door.sign_in()
    counter_id, other = await door.counter(), await door.counter()
    path = f"/v1/counters/{counter_id}/add"
    answer = await http.post(path, json={"amount": 1, "counter_id": str(other)}, headers={**me, **key})
    assert code(answer) == (400, "invalid_input")
    same = await http.post(path, json={"amount": 1, "counter_id": str(counter_id)}, headers={**me, **key})
    assert same.json() == {"value": 1}


# -- conditional requests ---------------------------------------------------------------------------------------------


@pytest.fixture
async def note(http, door, key):
    _, me = door.sign_in()
    return (await write(http, me, key)).json()["id"], me


async def test_a_resource_has_an_etag_and_a_reader_who_has_it_gets_304(http, note):
    note_id, _ = note
    first = await http.get(f"/v1/notes/{note_id}")
    assert first.headers["etag"] == '"1"'
    for tag in ('"1"', 'W/"1"', '"7", "1"', "*"):
        again = await http.get(f"/v1/notes/{note_id}", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == '"1"'
    other = await http.get(f"/v1/notes/{note_id}", headers={"If-None-Match": '"2"'})
    assert other.status_code == 200


async def test_a_change_based_on_an_old_version_is_refused(http, note):
    note_id, me = note
    first = await http.patch(f"/v1/notes/{note_id}", json={"text": "b"}, headers={**me, "If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    for tag in ('"1"', '"abc"', 'W/"2"'):
        stale = await http.patch(f"/v1/notes/{note_id}", json={"text": "c"}, headers={**me, "If-Match": tag})
        assert code(stale) == (412, "stale")
    assert (await http.get(f"/v1/notes/{note_id}")).json()["text"] == "b"
    anyway = await http.patch(f"/v1/notes/{note_id}", json={"text": "d"}, headers={**me, "If-Match": "*"})
    assert anyway.headers["etag"] == '"3"'


async def test_an_if_match_that_is_no_tag_is_refused(http, note):
    note_id, me = note
    answer = await http.patch(f"/v1/notes/{note_id}", json={"text": "b"}, headers={**me, "If-Match": "1"})
    assert code(answer) == (400, "invalid_input")


async def test_a_resource_without_a_version_has_an_etag_of_its_content(http, door, key):
    _, me = door.sign_in()
    counter_id = await door.counter()
    first = await http.get(f"/v1/counters/{counter_id}")
    same = await http.get(f"/v1/counters/{counter_id}", headers={"If-None-Match": first.headers["etag"]})
    assert same.status_code == 304
    await http.post(f"/v1/counters/{counter_id}/add", json={"amount": 1}, headers={**me, **key})
    changed = await http.get(f"/v1/counters/{counter_id}", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200


async def test_strangers_cannot_change_a_note(http, door, note):
    note_id, _ = note
    _, stranger = door.sign_in()
    answer = await http.patch(f"/v1/notes/{UUID(note_id)}", json={"text": "mine"}, headers=stranger)
    assert code(answer) == (404, "not_found")
