"""What the documents say is there: files, functions, decisions; and nothing refers to papers that are not here."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("protocols", "realtime", "handlers", "storage", "server", "load", "tests")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

# -- papers ------------------------------------------------------------------------------------------------------

PAPER = re.compile(
    r"\b(DESIGN|FEATURES|INTERFACE|PROTOCOL|STYLE)(\.md\b|\s+(sections?|rules?|[0-9]|[A-Z]\b(?!=))|,? [0-9])"
)
"""The name of a paper with a section after it, or `.md`."""

SPEAKS_OF_PAPERS = {
    "handlers/auctions/formats/dutch_rules.py",
    "handlers/auctions/formats/reverse_rules.py",
    "handlers/auctions/formats/sealed_rules.py",
    "handlers/auctions/guard_rules.py",
    "handlers/auctions/rules.py",
    "handlers/auctions/signals/rules.py",
    "handlers/auth/passwords.py",
    "handlers/auth/refresh.py",
    "handlers/auth/rules.py",
    "handlers/auth/tokens.py",
    "handlers/listings/stock/rules.py",
    "protocols/auctions/audits.py",
    "protocols/auctions/commands.py",
    "protocols/auctions/events.py",
    "protocols/auctions/increments.py",
    "protocols/auctions/refusals.py",
    "protocols/auctions/terms.py",
    "protocols/auth/commands.py",
    "protocols/budgets.py",
    "protocols/wire/centrifuge.proto",
    "protocols/wire/centrifuge.py",
    "protocols/wire/codec_json.py",
    "protocols/wire/codec_protobuf.py",
    "realtime/channels/delta.py",
    "realtime/channels/replayed.py",
    "realtime/channels/tags.py",
    "realtime/connection/channel_queries.py",
    "realtime/connection/connection.py",
    "realtime/connection/dispatch.py",
    "realtime/connection/fast_connect.py",
    "realtime/endpoints/emulation.py",
    "realtime/endpoints/socket_endpoint.py",
    "realtime/hub.py",
    "realtime/limits.py",
    "realtime/transport/streams.py",
    "realtime/transport/websocket.py",
    "realtime/transport/writer.py",
}
"""Files that still do; the list only shrinks."""


def texts():
    """Every text of the repository that people write, by its path."""
    suffixes = {".py", ".sql", ".sqlt", ".lua", ".proto", ".md"}
    found = [p for layer in CODE for p in (ROOT / layer).rglob("*") if p.suffix in suffixes]
    ours = [p for p in (*found, *DOCUMENTS) if not {"node_modules", "__pycache__"} & set(p.parts)]
    return {str(p.relative_to(ROOT)): p.read_text() for p in ours if p != Path(__file__)}


def test_nothing_refers_to_a_paper_that_is_not_here():
    speaking = {name for name, text in texts().items() if PAPER.search(text)}
    assert speaking - SPEAKS_OF_PAPERS == set()
    assert SPEAKS_OF_PAPERS - speaking == set(), "take these off the list"


@pytest.mark.parametrize(
    "text", ["Source: DESIGN section 5", "(FEATURES rule 14)", "INTERFACE.md", "(PROTOCOL 3-7)", "FEATURES G"]
)
def test_reference_to_a_paper_is_recognised(text):
    assert PAPER.search(text)
