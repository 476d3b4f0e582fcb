"""What handlers say by name is declared in the domain's value: events, timers, jobs; and the guide names every door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.domains import DOMAINS, jobs_of

ROOT = Path(__file__).parents[2]
OURS = [domain for domain in DOMAINS if (ROOT / "handlers" / domain.name).is_dir()]


def calls_in(text: str, *names: str) -> Iterator[ast.Call]:
    """Calls of functions or methods of these names."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names:
            yield node


def words_in(text: str, field: str, *names: str) -> set[str]:
    """Texts that calls are given, by place or as a field."""
    found = set()
    for call in calls_in(text, *names):
        given = [*call.args, *(k.value for k in call.keywords if k.arg == field)]
        found |= {a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found


def words_of_handlers(domain: str, field: str, *names: str) -> set[str]:
    files = sorted((ROOT / "handlers" / domain).rglob("*.py"))
    return set().union(*(words_in(path.read_text(), field, *names) for path in files))


def test_names_are_found_in_calls():
    text = 'Timer("close", x, 1)\nauction.event("sold", y)\nEvent(s, type="told", data=d)\nTimer(KIND, x, 1)'
    assert words_in(text, "kind", "Timer") == {"close"}
    assert words_in(text, "type", "Event", "event") == {"sold", "told"}
    assert {"bid_placed", "outbid"} <= words_of_handlers("auctions", "type", "Event", "event")
    assert "close_auction" in words_of_handlers("auctions", "kind", "Timer")


PAGES = {"auth": "identity", "notifications": "identity", "payments": "money"}
"""Pages that are not called like their domain."""


def missing_page(domain: str, root: Path) -> str:
    """Say what a domain lacks for those who use it: its page, or the page's line in the README."""
    page = f"docs/{PAGES.get(domain, domain)}.md"
    if not (root / page).is_file():
        return f"write {page}: what {domain} are for who uses them"
    return "" if f"`{page}`" in (root / "README.md").read_text() else f"name `{page}` in README.md"


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_every_domain_has_a_page_that_the_readme_names(domain):
    assert missing_page(domain.name, ROOT) == ""


def test_a_domain_without_its_page_is_missed(tmp_path):
    (tmp_path / "README.md").write_text("- `docs/zeppelins.md` airships.\n")
    assert "write docs/zeppelins.md" in missing_page("zeppelins", tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("zeppelins", "parcels"):
        (tmp_path / "docs" / f"{name}.md").write_text("# Here\n")
    assert missing_page("zeppelins", tmp_path) == ""
    assert "name `docs/parcels.md`" in missing_page("parcels", tmp_path)


THROUGH_DOORS = {"stock_moved": ("auctions", "listings"), "escrow_opened": ("auctions", "payments")}
"""Events that a domain writes on another one's stream, beside a write through a door (decision 0062)."""


@pytest.mark.parametrize("domain", OURS, ids=lambda domain: domain.name)
def test_every_event_that_a_handler_writes_is_in_its_domains_vocabulary(domain):
    listed = {*domain.personal_events, *domain.stream_events, *domain.audit_events}
    listed |= {event for kind in domain.channels for event in kind.events}
    written = words_of_handlers(domain.name, "type", "Event", "event")
    for word, (writer, owner) in THROUGH_DOORS.items():
        if domain.name == writer:
            assert word in written
            written.discard(word)
        if domain.name == owner:
            written.add(word)
    assert written - listed == set(), "add them to EVENTS or PERSONAL_EVENTS of protocols/<domain>/events.py"
    assert listed - written == set(), "no handler writes them"


@pytest.mark.parametrize("domain", OURS, ids=lambda domain: domain.name)
def test_every_timer_that_a_handler_sets_is_declared(domain):
    declared = {kind.name for kind in domain.timers}
    wanted = words_of_handlers(domain.name, "kind", "Timer")
    assert wanted - declared == set(), f"add a TimerKind to timers= of handlers/{domain.name}/__init__.py"


def test_every_job_that_a_handler_asks_for_is_declared():
    wanted = set().union(*(words_of_handlers(domain.name, "kind", "JobRequest") for domain in OURS))
    assert wanted - set(jobs_of(DOMAINS)) == set(), "add a JobKind to jobs= of the domain's value"


def test_the_guide_names_every_function_of_a_door():
    guide = (ROOT / "docs" / "extending.md").read_text()
    doors = [*(ROOT / "storage").glob("*/lookups.py"), *(ROOT / "storage").glob("*/selling.py")]
    doors += (ROOT / "storage").glob("*/leaves.py")
    functions = {
        node.name
        for door in doors
        for node in ast.parse(door.read_text()).body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and not node.name.startswith("_")
    }
    assert len(functions) > 10
    assert {name for name in functions if f"`{name}`" not in guide} == set()
