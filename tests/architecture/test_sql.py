"""Every named SQL statement prepares on the real, migrated schema."""

import re
from pathlib import Path

import pytest

from storage.platform.sql import read_statements

ROOT = Path(__file__).parents[2]
FILES = [p for p in sorted((ROOT / "storage").rglob("*.sql")) if p.parent.name != "migrations"]


VERB = re.compile(r"(--[^\n]*\n|\s)*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|NOTIFY|TRUNCATE)\b")


def whole_statements(path):
    """The statements that stand alone: parts and `{frames}` of composed ones run in their composer's tests."""
    texts = read_statements(path).items()
    return {name: text for name, text in texts if VERB.match(text) and not re.search(r"\{\w+\}", text)}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
async def test_every_statement_of_the_file_prepares(path, pool):
    statements = whole_statements(path)
    assert statements
    failures = {}
    async with pool.acquire() as connection:
        for name, text in statements.items():
            try:
                await connection.prepare(text)
            except Exception as error:  # noqa: BLE001 - collected, so that one run shows them all
                failures[name] = str(error)
    assert failures == {}


SESSION_STATE = (
    r"\bSET (?!LOCAL\b)\w+ *(=|TO\b)|set_config\([^)]*false\)|pg_(try_)?advisory_lock|"
    r"\b(TEMP|TEMPORARY) TABLE|WITH HOLD"
)
"""What would outlive its transaction: pooled connections are handed on without a reset."""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_statement_changes_its_session(path):
    for name, text in read_statements(path).items():
        code = re.sub(r"--[^\n]*", "", text)
        update = re.sub(r"\b(UPDATE|DO UPDATE)\b[^;]*", "", code)
        assert not re.search(SESSION_STATE, update, re.IGNORECASE), name


@pytest.mark.parametrize(
    "text",
    [
        "SET statement_timeout = 5",
        "SELECT set_config('jit', 'off', false)",
        "SELECT pg_advisory_lock(1)",
        "CREATE TEMP TABLE t (a int)",
    ],
)
def test_what_changes_a_session_is_recognised(text):
    assert re.search(SESSION_STATE, text, re.IGNORECASE)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_statement_says_what_it_returns(path):
    silent = [name for name, text in read_statements(path).items() if not re.match(r"-- \S", text)]
    assert silent == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_statement_is_used(path):
    code = "\n".join(p.read_text() for p in (ROOT / "storage").rglob("*.py"))

    def is_used(name):
        prefix = name.split("_")[0]  # a piece may be chosen by name: f"order_{order}"
        return re.search(rf"\.{name}\b|[\"']{name}[\"']|f[\"']{prefix}_\{{", code)

    assert [name for name in read_statements(path) if not is_used(name)] == []
