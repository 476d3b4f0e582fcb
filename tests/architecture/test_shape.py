"""The shape of the code: sizes, names, words that must not be there, a test for every verb."""

import ast
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("protocols", "realtime", "handlers", "storage", "server", "load")
GENERATED = {"protocols/wire/centrifuge_pb2.py"}
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
BANNED = {
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "finish it, or write an issue",
    r"/work/|/home/[a-z]|/root/|/Users/": "no path of one machine",
    r"\bprint\(.*#\s*debug": "left from debugging",
    r"\bpragma: no cover\b": "test it",
    r"files\.pythonhosted\.org|pypi\.org/simple": "where packages come from is the machine's own setting",
}


def tracked(pattern):
    """Files of the layers and tests whose path matches, `*` crossing folders."""
    found = (p for layer in (*LAYERS, "tests") for p in sorted((ROOT / layer).rglob("*")) if p.is_file())
    names = (str(p.relative_to(ROOT)) for p in found if "__pycache__" not in p.parts)
    return [name for name in names if fnmatch(name, pattern)]


PRODUCT = [name for layer in LAYERS for name in tracked(f"{layer}/*.py") if name not in GENERATED]
VERBS = [
    name
    for name in PRODUCT
    if re.fullmatch(r"handlers/\w+/(\w+/)?[a-z]\w*\.py", name)
    and f"async def {Path(name).stem}(" in (ROOT / name).read_text()  # one file, one verb, the same word
]


def functions(tree):
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_there_is_product_code_to_look_at():
    assert len(PRODUCT) > 20


@pytest.mark.parametrize("name", PRODUCT)
def test_file_and_its_functions_are_short_enough(name):
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= FILE_LINES_MAX
    long = {
        f.name: f.end_lineno - f.lineno + 1
        for f in functions(ast.parse(text))
        if f.end_lineno - f.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert long == {}


@pytest.mark.parametrize("name", PRODUCT)
def test_file_has_a_telling_name_and_a_docstring(name):
    assert Path(name).stem not in VAGUE_NAMES
    assert ast.get_docstring(ast.parse((ROOT / name).read_text()))


@pytest.mark.parametrize("name", [*PRODUCT, *tracked("storage/*.sql"), "mnbara", ".ci/run", "Dockerfile"])
def test_file_has_no_banned_words(name):
    text = (ROOT / name).read_text()
    found = {match[0]: why for pattern, why in BANNED.items() for match in re.finditer(pattern, text)}
    assert found == {}


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_of_a_handler_is_mentioned_by_a_test_of_its_domain_or_a_flow(name):
    verb = Path(name).stem
    tests = [ROOT / t for t in tracked("tests/*.py") if Path(t).name.startswith("test_")]
    camel = "".join(word.capitalize() for word in verb.split("_"))
    word = re.compile(rf"\b({verb}|{camel})\b")
    assert any(word.search(t.read_text()) for t in tests), f"no test speaks of {verb}"


IMPURE_NAMES = {"new_id", "now_instant", "now", "utcnow", "today", "time_ns", "urandom"}
"""Clocks and makers of ids that an import contract cannot see: they hide in modules that rules do need."""

LISTS_RULES = "handlers/listings/goods/list_goods_rules.py"  # a verb, named after what it lists


def impurities(text):
    """What in a file of rules waits, or reads a clock: the names, `await` among them."""
    nodes = list(ast.walk(ast.parse(text)))
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = {"await" for n in nodes if isinstance(n, waiting)}
    found |= {n.attr for n in nodes if isinstance(n, ast.Attribute)} & IMPURE_NAMES
    found |= {a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names} & IMPURE_NAMES
    return found


@pytest.mark.parametrize("name", [n for n in tracked("handlers/*rules*.py") if n != LISTS_RULES])
def test_rules_do_not_wait_and_read_no_clock(name):
    assert impurities((ROOT / name).read_text()) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("async def f(): ...", "await"),
        ("from datetime import datetime\ndatetime.now()", "now"),
        ("from datetime import date as d\nd.today()", "today"),
        ("from protocols.values import new_id as make", "new_id"),
        ("from protocols import values\nvalues.now_instant()", "now_instant"),
    ],
)
def test_impurity_of_rules_is_recognised(text, found):
    assert impurities(text) == {found}
