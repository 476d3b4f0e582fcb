"""Every named SQL statement prepares on the real, migrated schema."""

import re
from pathlib import Path

import pytest

from storage.sql import read_statements

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
