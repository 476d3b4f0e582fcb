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
SCRIPTS = ("mnbara", ".ci/run", "Dockerfile")
IMPURE_NAMES = {"new_id", "now_instant", "now", "utcnow", "today", "time_ns", "urandom"}
"""Clocks and makers of ids that an import contract cannot see: they hide in modules that rules do need."""
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


def failures_of(judge, names):
    """What is wrong in which file: one run shows them all."""
    return {name: wrong for name in names if (wrong := judge(ROOT / name))}


def open_ended(path):
    """Patterns of commands that take a line break after what they describe: `$` matches before the last one."""
    keywords = [
        n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.keyword) and n.arg == "pattern"
    ]
    texts = [n.value.value for n in keywords if isinstance(n.value, ast.Constant)]
    return [text for text in texts if not text.endswith(r"$(?!\n)")]


def test_patterns_end_where_the_text_ends():
    assert failures_of(open_ended, [name for name in PRODUCT if name.startswith("protocols/")]) == {}


def overlong(path):
    text = path.read_text()
    lengths = {f.name: f.end_lineno - f.lineno + 1 for f in functions(ast.parse(text))}
    lengths = {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}
    lines = len(text.splitlines())
    return lengths | ({"the file": lines} if lines > FILE_LINES_MAX else {})


def test_files_and_their_functions_are_short_enough():
    assert failures_of(overlong, PRODUCT) == {}


def badly_named(path):
    if path.stem in VAGUE_NAMES:
        return "a name that says nothing"
    return "" if ast.get_docstring(ast.parse(path.read_text())) else "no docstring"


def test_files_have_telling_names_and_docstrings():
    assert failures_of(badly_named, PRODUCT) == {}


def banned_words(path):
    text = path.read_text()
    return {match[0]: why for pattern, why in BANNED.items() for match in re.finditer(pattern, text)}


def test_files_have_no_banned_words():
    assert failures_of(banned_words, [*PRODUCT, *tracked("storage/*.sql"), *SCRIPTS]) == {}


def test_a_test_names_every_verb_of_a_handler():
    tests = [ROOT / name for name in tracked("tests/*.py") if Path(name).name.startswith("test_")]
    words = set(re.findall(r"\w+", "\n".join(path.read_text() for path in tests)))
    verbs = {Path(name).stem for name in VERBS}
    camel = {verb: "".join(word.capitalize() for word in verb.split("_")) for verb in verbs}
    assert [verb for verb in sorted(verbs) if not {verb, camel[verb]} & words] == []


def impurities(path):
    """What in a file of rules waits, or reads a clock: the names, `await` among them."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = {"await" for n in nodes if isinstance(n, waiting)}
    found |= {n.attr for n in nodes if isinstance(n, ast.Attribute)} & IMPURE_NAMES
    found |= {a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names} & IMPURE_NAMES
    return found


def test_rules_do_not_wait_and_read_no_clock():
    rules = [name for name in tracked("handlers/*rules*.py") if name not in VERBS]
    assert len(rules) > 10
    assert failures_of(impurities, rules) == {}


FAULTS = {
    overlong: [f"def f():\n{'    x = 1' + chr(10)}" + "    x = 1\n" * FUNCTION_LINES_MAX, "x = 1\n" * 601],
    badly_named: ["x = 1\n"],
    banned_words: ["# TODO: later\n", "print(x)  # debug\n"],
    impurities: [
        "async def f(): ...",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import date as d\nd.today()",
        "from protocols.values import new_id as make",
        "from protocols import values\nvalues.now_instant()",
    ],
}


@pytest.mark.parametrize("judge", FAULTS)
def test_every_judge_finds_a_planted_fault(judge, tmp_path):
    path = tmp_path / "rules.py"
    for text in FAULTS[judge]:
        path.write_text(text)
        assert judge(path), text
    path.write_text('"""A pure rule."""\n\n\ndef double(x):\n    return 2 * x\n')
    assert not judge(path)
