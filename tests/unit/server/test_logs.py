"""Logs: JSON lines on stderr, with the trace id, without secrets."""

import json
import re
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.process import logs
from server.process.logs import BLANK, redact

PROGRAM = textwrap.dedent("""
    import logging
    import structlog
    from server.process.logs import configure_logs
    configure_logs("info")
    log = structlog.get_logger()
    structlog.contextvars.bind_contextvars(trace_id="t-1")
    log.debug("hidden")
    log.info("bid_placed", amount=7, access_token="eyJhbGciOiJ", nested={"password": "x", "ok": [1, "a@b.example"]})
    try:
        raise ValueError("Key (email)=(amina@example.org) exists, Bearer abc.def, postgres://u:secret@h/db")
    except ValueError:
        log.exception("failed")
    logging.getLogger("uvicorn.error").warning("from the library %s", "x@y.example")
    logging.getLogger("uvicorn.access").info("GET /v1/secret-path")
    log.info("odd", value={1, 2}, other=object())
""")


def test_lines_are_json_with_instant_level_event_and_trace_id():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["bid_placed", "failed", "uvicorn_error", "odd"]
    assert lines[2]["message"] == f"from the library {BLANK}"
    assert lines[2]["trace_id"] == "t-1"
    first = lines[0]
    assert first["at"].endswith("Z")
    assert len(first["at"]) == 24
    assert (first["level"], first["trace_id"], first["amount"]) == ("info", "t-1", 7)
    assert first["access_token"] == BLANK
    assert first["nested"] == {"password": BLANK, "ok": [1, BLANK]}
    for word in ("amina@", "abc.def", "secret", "eyJ"):
        assert word not in done.stderr
    assert "ValueError" in lines[1]["exception"]
    assert "Traceback" in lines[1]["exception"]


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "refresh_token",
        "Authorization",
        "password",
        "key",
        "idempotency_key",
        "email",
        "pin",
        "ops_token",
        "api_keys",
    ],
)
def test_secret_fields_are_blanked(name):
    assert redact(None, "info", {"event": "x", name: "v"})[name] == BLANK


@pytest.mark.parametrize("name", ["monkey", "spin", "offset", "keyboard"])
def test_innocent_fields_are_kept(name):
    assert redact(None, "info", {"event": "x", name: "v"})[name] == "v"


PLAIN = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=(?i:bearer) )\S+|[\w.+-]+@[\w-]+\.[\w.-]+")
"""Tokens and mail addresses, said simply: too slow for texts of clients."""

PIECES = [
    "a",
    "eyJ",
    "eyJaaaaaaaa",
    ".",
    "@",
    "+",
    "-",
    ":",
    "Bearer ",
    "BEARER ",
    " ",
    "/",
    "eyJaaaaaaaa.b.c",
    "a@b.c",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_whatever_the_plain_pattern_finds_is_blanked(text):
    left = redact(None, "info", {"event": text})["event"]
    # What is left stands in the text outside the plain matches, in order.
    outside = PLAIN.sub("\0", text)
    pieces = "".join(re.escape(piece) + ".*" for piece in left.split(BLANK))
    assert re.fullmatch(pieces.removesuffix(".*"), outside, re.DOTALL)


def test_a_record_that_cannot_be_written_is_lost_and_harms_nobody():
    class FullDisk:
        def write(self, _text):
            raise OSError(28, "No space left on device")

        def flush(self):
            raise OSError(28, "No space left on device")

    stream = logs._LossyStream(FullDisk())
    assert stream.write("x") == 0
    assert stream.flush() is None
