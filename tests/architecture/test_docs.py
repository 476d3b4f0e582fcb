"""What the documents say is there: files, functions, decisions; and nothing refers to papers that are not here."""

import ast
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


def texts():
    """Every text of the repository that people write, by its path."""
    suffixes = {".py", ".sql", ".sqlt", ".lua", ".proto", ".md"}
    found = [p for layer in CODE for p in (ROOT / layer).rglob("*") if p.suffix in suffixes]
    ours = [p for p in (*found, *DOCUMENTS) if not {"node_modules", "__pycache__"} & set(p.parts)]
    return {str(p.relative_to(ROOT)): p.read_text() for p in ours if p != Path(__file__)}


def test_nothing_refers_to_a_paper_that_is_not_here():
    speaking = {name for name, text in texts().items() if PAPER.search(text)}
    assert speaking == set()


@pytest.mark.parametrize(
    "text", ["Source: DESIGN section 5", "(FEATURES rule 14)", "INTERFACE.md", "(PROTOCOL 3-7)", "FEATURES G"]
)
def test_reference_to_a_paper_is_recognised(text):
    assert PAPER.search(text)


# -- files and functions -----------------------------------------------------------------------------------------

NAMED = re.compile(r"`([\w/.-]+\.(?:py|md|toml|sql))(?::([\w.]+))?`")
"""A file, or a file and what is defined in it: `realtime/hub.py:Hub.deliver`."""

CHECKED = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/glossary.md",
    "docs/decisions/README.md",
)


def is_there(name, root=ROOT):
    """Whether a file exists and defines what is said to be in it; a name alone is a file of some folder."""
    path, _, defined = name.partition(":")
    if not (root / path).is_file():
        return False
    if not defined:
        return True
    scope = ast.parse((root / path).read_text())
    for word in defined.split("."):
        nodes = (
            n for n in scope.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        )
        scope = next((n for n in nodes if n.name == word), None)
        if scope is None:
            return False
    return True


def named_in(text):
    """Files (with a folder in their name) and definitions that a document names."""
    return {f"{path}:{defined}" if defined else path for path, defined in NAMED.findall(text) if "/" in path}


@pytest.mark.parametrize("document", CHECKED)
def test_files_and_functions_that_a_document_names_are_there(document):
    missing = {name for name in named_in((ROOT / document).read_text()) if not is_there(name)}
    assert missing == set()


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("realtime/hub.py", True),
        ("realtime/hub.py:Hub.deliver", True),
        ("realtime/hub.py:Hub.nothing", False),
        ("realtime/hub.py:deliver", False),
        ("realtime/nothing.py", False),
    ],
)
def test_missing_names_are_found(name, there):
    assert is_there(name) is there


def test_the_ways_in_the_architecture_name_functions():
    assert sum(":" in name for name in named_in((ROOT / "docs/architecture.md").read_text())) > 40


# -- links, decisions, glossary -----------------------------------------------------------------------------------

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    assert [to for to in LINK.findall(document.read_text()) if not (document.parent / to).exists()] == []


def test_every_decision_is_in_the_index_once():
    folder = ROOT / "docs" / "decisions"
    files = {p.name for p in folder.glob("*.md")} - {"README.md"}
    listed = LINK.findall((folder / "README.md").read_text())
    assert sorted(listed) == sorted(files)


def test_the_glossary_is_short_and_sorted():
    terms = re.findall(r"^\*\*(.+?)\*\*", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert 30 <= len(terms) <= 50
    assert terms == sorted(terms, key=str.lower)
