"""The skeleton of a command or a domain in every layer, as changes that are judged first and written together."""

import ast
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protocols.errors import BLOCKS
from server.cli import skeleton_texts as texts
from server.cli.skeleton_names import Command, camel, singular
from server.cli.verb import UsageError

DOMAINS_FILE = "server/domains.py"
ERRORS_FILE = "protocols/errors.py"
SETTINGS_FILE = "pyproject.toml"
README_FILE = "README.md"
PACKAGES = {"protocols": "The words", "handlers": "", "storage": "The tables"}
"""Layers in which a domain has a folder, and what its `__init__.py` says; handlers have a table of contents."""

_PAGES_END = "- `docs/clients/`"
"""The line of the list behind the pages of domains."""

_NEW_BLOCKS = range(1900, 1990, 10)
_ALL_DOMAINS = re.compile(r"^(DOMAINS: [^=\n]+= \(\s*(?:\w+\.DOMAIN,?\s*)*)\)", re.MULTILINE)
_BLOCKS = re.compile(r"^BLOCKS = \{\n(?:    \"\w+\": \d+,\n)*", re.MULTILINE)
_CONTRACT = re.compile(r"\(auth\)( [|:] )\(listings\)[^\"\n]*")


@dataclass(slots=True)
class Skeleton:
    """Changes of a checkout: texts of files by path, which `write` puts in place."""

    root: Path
    texts: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str:
        """Return a file as it would be. Raises UsageError when there is none."""
        if path not in self.texts:
            try:
                return (self.root / path).read_text(encoding="utf-8")
            except FileNotFoundError:
                raise UsageError(f"there is no {path}") from None
        return self.texts[path]

    def create(self, path: str, text: str) -> None:
        """Add a new file. Raises UsageError when it is there already."""
        if path in self.texts or (self.root / path).exists():
            raise UsageError(f"{path} is there already")
        self.texts[path] = text

    def write(self) -> None:
        """Put all files in place."""
        for path, text in self.texts.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text, encoding="utf-8")


def add_domain(skeleton: Skeleton, domain: str, path: str = "") -> None:
    """Add a domain with a first query, `list_<domain>` at a path, its page and ten numbers for its refusals.

    Raises: UsageError.
    """
    if not (domain.isascii() and domain.isalpha() and domain.islower()) or keyword.iskeyword(domain):
        raise UsageError(f"{domain!r} is no name of a domain; write one word in small letters, like parcels")
    for layer, what in PACKAGES.items():
        text = texts.PACKAGE if what else texts.DOMAIN
        skeleton.create(f"{layer}/{domain}/__init__.py", text.substitute(domain=domain, what=what))
    skeleton.create(f"protocols/{domain}/commands.py", texts.WORDS.substitute(domain=domain))
    first = BLOCKS.get(domain) or _free_block()
    thing = singular(domain)
    names = {"domain": domain, "thing": thing, "struct": camel(thing), "number": first}
    skeleton.create(f"protocols/{domain}/refusals.py", texts.REFUSALS.substitute(names))
    if domain not in BLOCKS:
        skeleton.texts[ERRORS_FILE] = _with_block(skeleton.read(ERRORS_FILE), domain, first)
    add_command(skeleton, Command(domain, f"list_{domain}", "GET", path))
    skeleton.create(f"docs/{domain}.md", texts.PAGE.substitute(domain=domain, title=domain.capitalize()))
    skeleton.texts[README_FILE] = _with_page(skeleton.read(README_FILE), domain)
    skeleton.texts[DOMAINS_FILE] = _with_domain(skeleton.read(DOMAINS_FILE), domain)
    skeleton.texts[SETTINGS_FILE] = _with_contracts(skeleton.read(SETTINGS_FILE), domain)


def add_command(skeleton: Skeleton, command: Command) -> None:
    """Add a command or query to a domain, in every layer. Raises UsageError."""
    domain, verb = command.domain, command.verb
    handlers = f"handlers/{domain}"
    if not _is_there(skeleton, f"{handlers}/__init__.py"):
        raise UsageError(f"there is no domain {domain!r}; ./mnbara new-domain {domain} makes one")
    topic = command.topic or _topic_of(skeleton, command)
    if topic:
        handlers = f"{handlers}/{topic}"
        if not topic.isidentifier() or not _is_there(skeleton, f"{handlers}/__init__.py"):
            raise UsageError(f"there is no topic {topic!r}: no {handlers}/__init__.py")
    words = f"protocols/{domain}/{topic or 'commands'}.py"
    if not _is_there(skeleton, words):
        words = f"protocols/{domain}/commands.py"
    names = {**command.names(), "module": handlers.replace("/", "."), "words": _module(words)}
    skeleton.create(f"{handlers}/{verb}.py", texts.HANDLER.substitute(names))
    skeleton.create(f"tests/integration/{domain}/test_{verb}.py", texts.TEST.substitute(names))
    skeleton.texts[words] = _with_structs(skeleton.read(words), words, command, names)
    table = f"{handlers}/routes.py" if topic else ""
    if not topic or not _is_there(skeleton, table):
        table = f"handlers/{domain}/__init__.py"
    skeleton.texts[table] = _with_route(skeleton.read(table), table, names, command)


def _is_there(skeleton: Skeleton, path: str) -> bool:
    return path in skeleton.texts or (skeleton.root / path).exists()


def _topic_of(skeleton: Skeleton, command: Command) -> str:
    """Return the topic that has its own routes and is called like what the command is about; empty without one."""
    names = dict.fromkeys((command.noun, command.thing, f"{command.thing}s"))
    tables = (name for name in names if _is_there(skeleton, f"handlers/{command.domain}/{name}/routes.py"))
    return next(tables, "")


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _with_structs(text: str, path: str, command: Command, names: Mapping[str, str]) -> str:
    """Add the command, and of its reply what is not there yet."""
    if f"\nclass {names['struct']}(" in text:
        raise UsageError(f"{path} has a class {names['struct']} already")
    grown = _with_imports(text, "from msgspec import Struct")
    if found := [word for word in ("Cursor", "Key", "PageLimit") if f": {word}" in names["fields"]]:
        grown = _with_imports(grown, f"from protocols.values import {', '.join(found)}")
    grown += texts.STRUCT.substitute(names)
    for name, fields in command.reply_structs().items():
        if f"\nclass {name}(" not in grown:
            grown += texts.REPLY.substitute(names, reply=name, reply_fields=fields)
    if ": UUID" in grown:
        grown = _with_imports(grown, "from uuid import UUID")
    return grown


def _with_route(text: str, path: str, names: Mapping[str, str], command: Command) -> str:
    """Add a route behind those of a tuple of routes, and what it needs to the imports."""
    found = [
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and (_target(node) == "ROUTES" or (path.endswith("/routes.py") and _target(node).endswith("_ROUTES")))
    ]
    if not found or not isinstance(found[0], ast.Tuple):
        raise UsageError(f"{path} has no tuple ROUTES")
    place = _end_of_routes(text, found[0])
    head = text[:place].rstrip(" ")
    separator = "" if head.endswith("\n") else "\n"
    grown = head + separator + texts.ROUTE.substitute(names) + "    " + text[place:]
    words = [names["struct"], *([command.reply] if command.reply else [])]
    return _with_imports(
        grown,
        "from handlers.contract import Permission, Route",
        "from {module}.{verb} import {verb}".format(**names),
        f"from {names['words']} import {', '.join(words)}",
        *(["from protocols.errors import InvalidInput"] if command.is_list else []),
    )


def _end_of_routes(text: str, entries: ast.Tuple) -> int:
    """Return where a tuple's own routes end: before the first topic's (`*BIDDING_ROUTES`), else before its bracket."""
    star = next((entry for entry in entries.elts if isinstance(entry, ast.Starred)), None)
    line, column = (
        (star.lineno, star.col_offset)
        if star
        else (entries.end_lineno or 0, (entries.end_col_offset or 0) - 1)
    )
    lines = text.splitlines(keepends=True)
    return len("".join(lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())


def _target(node: ast.Assign | ast.AnnAssign) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else ""


def _with_imports(text: str, *wanted: str) -> str:
    """Put imports behind the docstring; sorting and joining them is the formatter's work."""
    end = ast.parse(text).body[0].end_lineno or 0
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:end], "\n", *(f"{line}\n" for line in wanted), *lines[end:]])


def _with_domain(text: str, domain: str) -> str:
    """Add the domain to the tuple of all."""
    grown, count = _ALL_DOMAINS.subn(lambda match: f"{match[1].rstrip().rstrip(',')}, {domain}.DOMAIN)", text)
    if count != 1:
        raise UsageError(f"{DOMAINS_FILE} has no tuple DOMAINS")
    return _with_imports(grown, f"from handlers import {domain}")


def _with_page(text: str, domain: str) -> str:
    """Name the domain's page where all pages are named."""
    before, mark, after = text.partition(_PAGES_END)
    if not mark:
        raise UsageError(f"{README_FILE} has no list of documents with {_PAGES_END}")
    return before + texts.README_LINE.substitute(domain=domain) + mark + after


def _with_contracts(text: str, domain: str) -> str:
    """Declare the domain in the import contracts that name all; a planned one is there already."""

    def declare(match: re.Match[str]) -> str:
        line, between = match[0], match[1]
        return line if f"({domain})" in line else f"{line}{between}({domain})"

    grown, count = _CONTRACT.subn(declare, text)
    if not count:
        raise UsageError(f"{SETTINGS_FILE} has no import contract that names the domains")
    return grown


def _free_block() -> int:
    free = [first for first in _NEW_BLOCKS if first not in BLOCKS.values()]
    if not free:
        raise UsageError(
            f"no numbers of {_NEW_BLOCKS.start}-{_NEW_BLOCKS.stop - 1} are left for a new domain"
        )
    return free[0]


def _with_block(text: str, domain: str, first: int) -> str:
    """Enter the first number of the domain's refusals."""
    grown, count = _BLOCKS.subn(lambda match: f'{match[0]}    "{domain}": {first},\n', text)
    if count != 1:
        raise UsageError(f"{ERRORS_FILE} has no table BLOCKS")
    return grown
