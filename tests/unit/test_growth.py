"""Whatever meets bytes or text of clients costs time linear in them: twice the input, twice the time.

A pattern that is in no row here fails the last test: either a row measures it, or `OURS` says why no client's text
meets it.
"""

import ast
import asyncio
import base64
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask

from handlers.auth import devices
from handlers.auth import rules as auth_rules
from handlers.auth.factors import rules as factor_rules
from handlers.auth.keys import decode as decode_base64
from handlers.auth.mailing import hash_token
from handlers.auth.tokens import RefreshTokens, SignedClaims, TokenReader
from handlers.ledger import add_checkpoint
from handlers.ledger.tiles import read_index
from handlers.listings import cursors, rules
from handlers.listings.searches import anchor_rules
from protocols import goods
from protocols import texts as folding
from protocols.auth.commands import DescribeMe, Login, ScopeChannel
from protocols.auth.providers import ProviderName, SignInWithProvider
from protocols.cursors import read_cursor
from protocols.ledger.chains import parse_place
from protocols.listings.commands import Attributes, CreateListing
from protocols.listings.goods import Country, RuleCountry
from protocols.payments import commission, webhooks
from protocols.places import parse_near
from protocols.topics import parse_id, split_channel
from protocols.values import Currency
from protocols.wire import centrifuge_pb2, codec_json, codec_protobuf
from protocols.wire.centrifuge import CodecError, FilterNode
from realtime.channels.delta import apply_delta, make_delta
from realtime.channels.tags import TagsFilter
from realtime.endpoints import emulation
from realtime.transport import fast_handshake as upgrade
from realtime.transport.frames import FrameReader
from server.cli import verify_anchor, verify_ledger
from server.commands import decoding
from server.http import arguments, callers, compression, conditional, outer_layer
from server.http.outer_layer import read_trace_id
from server.http.protocol import BoundedHttp
from server.process import logs
from tests.support.growth import HEADS, RATIO_MAX, growth, shapes

ROOT = Path(__file__).parents[2]
LAYERS = ("server", "realtime", "handlers", "protocols", "storage")
pb: Any = centrifuge_pb2
JSON, PROTOBUF = codec_json.JsonCodec(), codec_protobuf.ProtobufCodec()


PARTS_BYTES = 32 * 1024
"""Half of the largest input made of parts: large enough that adding up copies is seen too."""


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A command that quotes unknown fields in its refusals."""

    name: str = ""
    inner: "Strict | None" = None


class TextRow(NamedTuple):
    """What takes one text, and the patterns it stands for, each as `module.name`."""

    name: str
    function: Callable[[str], object]
    patterns: tuple[str, ...] = ()
    heads: tuple[str, ...] = ("",)


class Row(NamedTuple):
    """What takes another input, made of about so many bytes."""

    name: str
    function: Callable[[Any], object]
    make: Callable[[int], Any]


def over_bytes(function: Callable[[bytes], object]) -> Callable[[str], object]:
    """Return a function of bytes as one of their text."""
    return lambda text: function(text.encode())


def in_json(decode: Callable[[bytes], object], template: str) -> Callable[[str], object]:
    """Return a function that decodes an object in which `?` is the text, quoted."""
    before, after = (part.encode() for part in template.split("?"))
    return lambda text: decode(before + msgspec.json.encode(text) + after)


def as_type(kind: Any) -> Callable[[str], object]:
    return lambda text: msgspec.convert(text, kind)


def refuse_message(text: str) -> object:
    return decoding.refusal_of(msgspec.ValidationError(text), Strict)


def handshake(text: str) -> object:
    head = (
        "GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    )
    return upgrade.read_upgrade((head + "Connection: Upgrade\r\n" + text + "\r\n\r\n").encode())


def any_filter(text: str) -> object:
    return TagsFilter(FilterNode(key=text, cmp="ct", val=text, vals=[text])).keeps({text: text})


def number_filter(text: str) -> object:
    return TagsFilter(FilterNode(key="a", cmp="lt", val=text)).keeps({"a": text})


PROOF_HEAD = "c2sp.org/tlog-proof@v1\nindex 0"


def check_proof(text: str) -> object:
    signed, _ = verify_ledger.read_note(verify_ledger.read_proof(text)[3])
    return verify_ledger.read_checkpoint(signed)


def read_place(text: str) -> object:
    with contextlib.suppress(ValueError):
        return parse_place(text)
    return verify_anchor.PLACE.fullmatch(text)


TOKENS = TokenReader(None, "", "", "", SignedClaims, lambda claims: claims)  # type: ignore[arg-type]
login, strict, create, describe, prove = (
    decoding.StructDecoder(kind).decode
    for kind in (Login, Strict, CreateListing, DescribeMe, SignInWithProvider)
)

TOKEN_HEADS = ("", "eyJaaaaaaaaa", "://a:")

TEXT_ROWS = [
    TextRow(
        "a whole number",
        lambda text: decoding.check_digits(text, "/n"),
        ("decoding._DIGITS",),
        ("", "-", "1"),
    ),
    TextRow("the token of a mail", hash_token, ("mailing._TOKEN",)),
    TextRow("a provider", as_type(ProviderName), ("providers.ProviderName",)),
    TextRow("a verifier", in_json(prove, '{"provider":"a","code_verifier":?}'), ("providers.code_verifier",)),
    TextRow("a language", in_json(describe, '{"locale":?}'), ("commands.locale",)),
    TextRow(
        "the trace of a caller",
        over_bytes(read_trace_id),
        ("outer_layer._TRACE_PARENT",),
        ("", f"01-{'a' * 32}-{'b' * 16}-01-"),
    ),
    TextRow("check_text", over_bytes(decoding.check_text), (), HEADS),
    TextRow("the login body as bytes", over_bytes(login), (), HEADS),
    TextRow("a body of any shape", over_bytes(decoding.decode_object), (), HEADS),
    TextRow("a text field", in_json(login, '{"email":?,"password":""}')),
    TextRow("an unknown field", in_json(strict, '{"inner":{?:1}}'), ("decoding._UNKNOWN",)),
    TextRow("a text beside a repeated member", in_json(decoding.decode_object, '{"a":[?],"b":1,"b":2}')),
    TextRow("an attribute", in_json(create, '{"title":"a","attributes":{?:1}}')),
    TextRow(
        "a refusal's message",
        refuse_message,
        ("decoding._MISSING", "decoding._UNKNOWN", "decoding._STEP"),
        HEADS,
    ),
    TextRow("pointer_of", decoding.pointer_of, ("decoding._STEP",)),
    TextRow("JSON commands", over_bytes(lambda data: JSON.decode_commands(data, 64)), (), HEADS),
    TextRow(
        "the data of a JSON RPC", lambda text: JSON.decode_commands(b'{"rpc":{"data":%b}}' % text.encode(), 1)
    ),
    TextRow("JSON emulation", in_json(JSON.decode_emulation, '{"data":?}')),
    TextRow("a JSON reply on one line", over_bytes(lambda data: JSON.rpc_reply(1, data))),
    TextRow("Protobuf commands", over_bytes(lambda data: PROTOBUF.decode_commands(data, 64))),
    TextRow("Protobuf emulation", over_bytes(PROTOBUF.decode_emulation)),
    TextRow("a tags filter", any_filter),
    TextRow("a tags filter of numbers", number_filter),
    TextRow("apply_delta", over_bytes(lambda data: apply_delta(b"a" * 100, data))),
    TextRow(
        "a handshake", handshake, ("fast_handshake._REQUEST", "fast_handshake._FIELD", "fast_handshake._KEY")
    ),
    TextRow("its pattern", over_bytes(upgrade._REQUEST.fullmatch), ("fast_handshake._REQUEST",)),
    TextRow(
        "a command that cannot be read",
        over_bytes(lambda data: JSON.decode_commands(data, 9)),
        ("codec_json._FIRST_ID", "codec_json._LAST_ID"),
        ("", '{"id":1,"rpc":{"data":"\\ud83d', '{"id":1,"rpc":{"data":' + "[" * 5_000),
    ),
    TextRow("a host", over_bytes(upgrade._HOST.fullmatch), ("fast_handshake._HOST",)),
    TextRow("subprotocols", over_bytes(upgrade._SUBPROTOCOLS.fullmatch), ("fast_handshake._SUBPROTOCOLS",)),
    TextRow("a session", emulation._SESSION.fullmatch, ("emulation._SESSION",)),
    TextRow("a node", emulation._NODE.fullmatch, ("emulation._NODE",)),
    TextRow(
        "a log line", lambda text: logs.redact(None, "", {"event": text}), ("logs._IN_TEXT",), TOKEN_HEADS
    ),
    TextRow("a log field", lambda text: logs.redact(None, "", {text: 1}), ("logs._SECRET",)),
    TextRow("Accept-Encoding", compression.choose_coding, ("compression._ACCEPTED",), ("", "a", "a;")),
    TextRow("a media type", over_bytes(compression._COMPRESSIBLE.match), ("compression._COMPRESSIBLE",)),
    TextRow("a request id", over_bytes(outer_layer._SANE_ID.fullmatch), ("outer_layer._SANE_ID",)),
    TextRow(
        "Content-Type", arguments._CONTENT_TYPE.fullmatch, ("arguments._CONTENT_TYPE",), ("application/json",)
    ),
    TextRow("a cookie header", arguments._COOKIE.search, ("arguments._COOKIE",), ("; ", "mnbara_device=")),
    TextRow("a device's markers", devices.hash_markers, ("devices._MARKERS",), ("", "." + "x" * 43)),
    TextRow("a quoted header", arguments._QUOTED.fullmatch, ("arguments._QUOTED",), ("", '"')),
    TextRow("a query", over_bytes(arguments.parse_query)),
    TextRow("If-None-Match", conditional._TAGS.findall, ("conditional._TAGS",), ("", '"')),
    TextRow("Authorization", callers._BEARER.fullmatch, ("callers._BEARER",), ("", "Bearer ", "Bearer a")),
    TextRow("a mail address", auth_rules.normalise_email, ("rules._EMAIL",)),
    TextRow(
        "a display name",
        auth_rules.check_display_name,
        ("labels._REFUSED", "labels._SEQUENCES", "labels._HIDDEN"),
        ("", "\U0001f3f4\U000e0067"),
    ),
    TextRow("a password", lambda text: auth_rules.check_password(text, text, text)),
    TextRow("an access token", TOKENS.read),
    TextRow("a refresh token", RefreshTokens([b"key"]).read),
    TextRow("base64url", decode_base64),
    TextRow(
        "a query of words", anchor_rules.word_cover, ("anchor_rules._TOKEN", "anchor_rules._one"), ("", "'")
    ),
    TextRow(
        "a folded text",
        lambda text: folding.unmask(folding.fold(text)),
        tuple(
            f"texts._{name}"
            for name in ["DROPPED_MARKS", "VOICING", "IDEOGRAPH", "MARKS", "OTHER_SCRIPT", "LATIN"]
        ),
        ("\u043e",),
    ),
    TextRow("a text spelt to pass a rule", folding.looks_like, ("texts._SIGN",), ("a", "1", "a ", "@")),
    TextRow("a folded query", folding.fold_query, ("texts._QUOTE", "texts._BETWEEN")),
    TextRow("a title", rules.check_title),
    TextRow("a description", rules.check_description),
    TextRow(
        "an attribute's name", lambda text: rules.check_attributes({text: text}), ("rules._ATTRIBUTE_NAME",)
    ),
    TextRow("a photo's name", goods.parse_name, ("goods._NAME",)),
    TextRow("a place", parse_near, ("places._POINT",), ("", "1", "1,", "1,1")),
    TextRow("the path of a tile", read_index, ("tiles._PATH",), ("", "x000/", "000.p/")),
    TextRow(
        "a request to the witness",
        over_bytes(add_checkpoint._read),
        ("notes._NAME", "notes._SIZE", "notes._CONTROL"),
        ("", "old 0", "old 0\n", "old 0\n\n", "old 0\n\na\n0\n", "old 0\n\na\n0\nAA==\n\n— a "),
    ),
    TextRow(
        "a proof to check",
        check_proof,
        ("verify_ledger.NUMBER", "verify_ledger.NAME"),
        (
            "",
            "c2sp.org/tlog-proof@v1\n",
            f"{PROOF_HEAD}",
            f"{PROOF_HEAD}\n\na\n0\n",
            f"{PROOF_HEAD}\n\na\n\n— a ",
        ),
    ),
    TextRow(
        "a contract's place",
        read_place,
        ("chains._PLACE", "verify_anchor.PLACE"),
        ("", "eip155:", "eip155:1:0x"),
    ),
    TextRow(
        "an anchor to check",
        verify_anchor.parse_checkpoint,
        ("verify_anchor.SIZE",),
        ("", "c2sp.org/tlog-proof@v1\n", f"{PROOF_HEAD}\n\na\n", "a\n1", "a\n1\n"),
    ),
    TextRow(
        "a webhook's signature",
        lambda text: webhooks.check_signature(b"", text, ["a"], 0),
        (),
        ("", "t=0,v1=", "t=0,v1=a,", "v1=a,"),
    ),
    TextRow(
        "a webhook",
        over_bytes(webhooks.read_event),
        (),
        ("", '{"id":"', '{"data":{"object":{"id":"', '{"data":{"object":{"metadata":{"'),
    ),
    TextRow("what a node answers", verify_anchor.read_digits, ("verify_anchor.DIGITS",), ("", "0x")),
    TextRow("a cursor of listings", cursors.read_id),
    TextRow("a cursor", lambda text: read_cursor(text, UUID, None)),
    TextRow(
        "the JSON in a cursor",
        lambda text: read_cursor(base64.urlsafe_b64encode(text.encode()).decode(), UUID, None),
    ),
    TextRow("a channel", split_channel),
    TextRow("an id", parse_id),
    TextRow("a currency", as_type(Currency), ("values.Currency",)),
    TextRow("a country", as_type(Country), ("goods.Country",)),
    TextRow("six digits", factor_rules.read_digits, ("rules._DIGITS",)),
    TextRow("a recovery code", factor_rules.hash_recovery_code, ("rules._RECOVERY",)),
    TextRow("a country of a tax", as_type(commission.Country), ("commission.Country",)),
    TextRow("a seller's level", as_type(commission.SellerLevel), ("commission.SellerLevel",)),
    TextRow("a rule's country", as_type(RuleCountry), ("goods.RuleCountry",)),
    TextRow("a channel of a token", as_type(ScopeChannel), ("commands.ScopeChannel",), ("", "a:", "a:#")),
    TextRow(
        "an attribute's type",
        lambda text: msgspec.convert({text: 1}, Attributes),
        ("commands.AttributeName",),
    ),
]

OURS = {
    "chain.read_chain_key": "a file of the operator, of which 1,000 bytes are read",
    "chain_node._NUMBER": "a node's answer: a fixed number of digits",
    "arguments.path_fields": "the paths of our routes",
    "exchange._typed": "the paths of our routes",
    "keys._new_keys": "an operator's setting",
    "install._postgres_version": "a path of this machine, and a package manager's answer",
    "domain.fact_name": "the names of our structs",
    "migrate._NAME": "the names of our migrations",
    "migrate._STATEMENT": "our migrations",
    "migrate._COMMENT": "our migrations",
    "migrate._apply_outside": "our migrations",
    "settings._is_host": "an operator's setting",
    "settings._MAIL_ADDRESS": "an operator's setting",
    "providers._NAME": "an operator's file",
    "example_values.identity": "our own examples",
    "origins._ORIGIN": "an operator's setting",
    "rates_sources._DAY": "the bank's file, 64 KB at most",
    "rates_sources._RATE": "the bank's file, 64 KB at most",
    "sql._HEADER": "our SQL files",
    "search_postgres._PIECES": "our SQL files",
    "skeleton_names._PATH": "a developer's command line",
    "skeleton_names._VERB": "a developer's command line",
    "skeleton_names.names": "a developer's command line",
    "skeletons._BLOCKS": "our own code",
    "tiers._TAKES_JS": "our own tests",
    "skeletons._ALL_DOMAINS": "our own code",
    "skeletons._CONTRACT": "our own settings of tools",
}
"""Patterns that no client's text meets, and what they read instead."""


# -- inputs that are more than one text ------------------------------------------------------------------------------


def members(size: int) -> bytes:
    return b"{%b}" % b",".join(b'"%07d":1' % number for number in range(size // 11))


def connect(size: int) -> bytes:
    channels = {f"a:{number:06}": pb.SubscribeRequest() for number in range(size // 16)}
    return delimited(pb.Command(id=1, connect=pb.ConnectRequest(subs=channels)).SerializeToString())


def filter_values(size: int) -> bytes:
    node = pb.FilterNode(key="a", cmp="in", vals=["aaaaaa"] * (size // 8))
    return delimited(pb.Command(id=1, subscribe=pb.SubscribeRequest(tf=node)).SerializeToString())


def same_field_again(size: int) -> bytes:
    """A request in many pieces, which a decoder has to put together."""
    piece = pb.Command(connect=pb.ConnectRequest(headers={"a": "b"})).SerializeToString()
    return delimited(piece * (size // len(piece)))


def delimited(message: bytes) -> bytes:
    return codec_protobuf._varint(len(message)) + message


def many_commands(size: int) -> bytes:
    return delimited(pb.Command(id=1, ping=pb.PingRequest()).SerializeToString()) * (size // 5)


def decode_many(data: bytes) -> None:
    if not PROTOBUF.decode_commands(data, len(data)):
        raise CodecError


def word_query(size: int) -> str:
    return "|".join(f"'a{number:06}'" for number in range(size // 10))


def texts(old: bytes, new: bytes) -> Callable[[int], tuple[bytes, bytes]]:
    """Two texts to make a delta of: they begin and end apart, so that what they share has to be found."""
    return lambda size: (b"x" + old * (size // len(old)) + b"x", b"yy" + new * (size // len(new)) + b"y")


class Frames(FrameReader):
    message_bytes_max = 1 << 20

    def message_received(self, payload, opcode):
        pass

    def control_received(self, opcode, payload):
        pass


def feed_frames(pieces: list[bytes]) -> None:
    reader = Frames()
    for piece in pieces:
        reader.feed(piece)


def frame(size: int, first: int) -> bytes:
    mask = b"mask"
    return bytes([first, 0xFF]) + size.to_bytes(8, "big") + mask + apply_mask(b"a" * size, mask)


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def fragments(size: int) -> list[bytes]:
    return [frame(1, 0x01), *[frame(1, 0x00)] * (size // 15), frame(1, 0x80)]


def feed_handshake(pieces: list[bytes]) -> None:
    protocol = ServerProtocol()
    for piece in pieces:
        protocol.receive_data(piece)
        protocol.events_received()


def head(size: int) -> list[bytes]:
    line = b"X-A: " + b"a" * 200 + b"\r\n"
    return one_by_one(b"GET / HTTP/1.1\r\n" + line * (size // len(line)) + b"\r\n")


class Unread(asyncio.Transport):
    """A transport nobody reads from."""

    def write(self, data):
        pass

    def write_eof(self):
        pass

    def close(self):
        pass

    def is_closing(self):
        return False

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def take_body(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


CONFIG = Config(take_body, http=BoundedHttp, log_config=None, proxy_headers=False)
CONFIG.load()


def feed_http(pieces: list[bytes]) -> None:
    async def feed() -> None:
        state = ServerState()
        connection = BoundedHttp(CONFIG, state, {}, asyncio.get_running_loop())
        connection.connection_made(Unread())
        for piece in pieces:
            connection.data_received(piece)
        await asyncio.sleep(0)
        connection.connection_lost(None)
        await asyncio.gather(*state.tasks)

    asyncio.run(feed())


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(size: int) -> bytes:
    return CHUNKED + b"1\r\na\r\n" * (size // 6) + b"0\r\n\r\n"


def sized_body(size: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, b"a" * size)


def pipelined_offers(size: int) -> bytes:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    return request * (size // len(request))


ROWS = [
    Row("many members, of a command", strict, members),
    Row("many members, of any object", decoding.decode_object, members),
    Row(
        "many objects with colons",
        decoding.decode_object,
        lambda size: b'{"a":[%b1]}' % (b'{"b":":"},' * (size // 10)),
    ),
    Row("the last member twice", decoding.decode_object, lambda size: members(size)[:-1] + b',"z":1,"z":1}'),
    Row("many numbers", decoding.decode_object, lambda size: b'{"a":[%b1]}' % (b"1," * (size // 2))),
    Row(
        "many shallow lists", decoding.decode_object, lambda size: b'{"a":[%b1]}' % (b"[],{}," * (size // 6))
    ),
    Row(
        "a deep nest that closes",
        decoding.decode_object,
        lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    ),
    Row("subscriptions of a connect", lambda data: PROTOBUF.decode_commands(data, 1), connect),
    Row("values of a filter", lambda data: PROTOBUF.decode_commands(data, 1), filter_values),
    Row("one field many times", lambda data: PROTOBUF.decode_commands(data, 1), same_field_again),
    Row("many Protobuf commands", decode_many, many_commands),
    Row(
        "many JSON commands",
        lambda data: JSON.decode_commands(data, len(data)),
        lambda size: b"{}\n" * (size // 3),
    ),
    Row("many marks out of order", folding.fold, lambda size: "a" + "\u094d\u3099" * (size // 2)),
    Row("many words", anchor_rules.word_cover, word_query),
    Row("a delta of equal bytes", lambda pair: make_delta(*pair), texts(b"a", b"a")),
    Row("a delta of near blocks", lambda pair: make_delta(*pair), texts(b"a" * 16 + b"b", b"a" * 17 + b"c")),
    Row("a delta of no characters", lambda pair: make_delta(*pair), texts(b"\x80", b"\x80")),
    Row("a frame byte by byte", feed_frames, lambda size: one_by_one(frame(size, 0x82))),
    Row("a message in tiny fragments", feed_frames, fragments),
    Row("a handshake byte by byte", feed_handshake, lambda size: head(size // 2)),
    Row("a head byte by byte", feed_http, lambda size: head(size // 2)),
    Row("a body byte by byte", feed_http, lambda size: one_by_one(sized_body(size))),
    Row("a body in chunks of a byte", feed_http, lambda size: [chunks(size * 8)]),
    Row("chunks of a byte, byte by byte", feed_http, lambda size: one_by_one(chunks(size))),
    Row("many requests at once", feed_http, lambda size: [pipelined_offers(size)]),
]


@pytest.mark.parametrize("row", TEXT_ROWS, ids=[row.name for row in TEXT_ROWS])
def test_text_costs_linear_time_whatever_it_holds(row):
    for shape, make in shapes(row.heads):
        assert growth(row.function, make) < RATIO_MAX, shape


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_parts_and_pieces_cost_linear_time_however_many_they_are(row):
    assert growth(row.function, row.make, PARTS_BYTES) < RATIO_MAX


@pytest.mark.parametrize(("pattern", "unit"), [(r'"(?:[^"\\]++|\\.)*+"', '\\"'), (r"[\w.+-]+@[\w-]+", "a")])
def test_a_pattern_that_starts_again_at_every_character_is_found_out(pattern, unit):
    find = re.compile(pattern).findall
    assert growth(find, lambda size: '"' + unit * (size // len(unit)), 1024) >= RATIO_MAX


def test_every_pattern_is_measured_or_never_meets_a_client():
    measured = {name for row in TEXT_ROWS for name in row.patterns}
    assert used_patterns() == measured | OURS.keys()
    assert measured.isdisjoint(OURS)


def used_patterns() -> set[str]:
    """Return `module.name` of every pattern of the layers: what it is bound to, or the function that uses it."""
    return {
        f"{path.stem}.{name}"
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*.py")
        for name in _pattern_names(ast.parse(path.read_text()), "")
    }


def _pattern_names(tree: ast.AST, owner: str) -> set[str]:
    """Return the owner of every pattern: the innermost function, else what the module or class binds."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        inside = owner
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not owner:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            inside = ast.unparse(target)
        elif isinstance(node, ast.ImportFrom):
            assert node.module != "re", "patterns are found by the word `re.`"
        if _is_pattern(node):
            found.add(inside)
        found |= _pattern_names(node, inside)
    return found


def _is_pattern(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg == "pattern"
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
    )
