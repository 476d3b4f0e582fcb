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
PACKAGES = {"protocols": "The words", "handlers": "", "storage": "The tables"}
"""Layers in which a domain has a folder, and what its `__init__.py` says; handlers have a table of contents."""

_NEW_BLOCKS = range(1900, 1990, 10)
_ALL_DOMAINS = re.compile(r"^(DOMAINS: [^=\n]+= \((?:\w+\.DOMAIN,?\s*)*)\)", re.MULTILINE)
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


def add_domain(skeleton: Skeleton, domain: str) -> None:
    """Add a domain with a first query, `list_<domain>`, and ten numbers for its refusals. Raises UsageError."""
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
    add_command(skeleton, Command(domain, f"list_{domain}", "GET", with_storage=True))
    skeleton.texts[DOMAINS_FILE] = _with_domain(skeleton.read(DOMAINS_FILE), domain)
    skeleton.texts[SETTINGS_FILE] = _with_contracts(skeleton.read(SETTINGS_FILE), domain)


def add_command(skeleton: Skeleton, command: Command) -> None:
    """Add a command or query to a domain, in every layer. Raises UsageError."""
    domain, verb, topic = command.domain, command.verb, command.topic
    handlers = f"handlers/{domain}"
    if not _is_there(skeleton, f"{handlers}/__init__.py"):
        raise UsageError(f"there is no domain {domain!r}; ./mnbara new-domain {domain} makes one")
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
    _add_statement(skeleton, command, names)
    skeleton.texts[words] = _with_structs(skeleton.read(words), words, command, names)
    table = f"{handlers}/routes.py" if topic else ""
    if not topic or not _is_there(skeleton, table):
        table = f"handlers/{domain}/__init__.py"
    skeleton.texts[table] = _with_route(skeleton.read(table), table, command, names)


def _is_there(skeleton: Skeleton, path: str) -> bool:
    return path in skeleton.texts or (skeleton.root / path).exists()


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _add_statement(skeleton: Skeleton, command: Command, names: Mapping[str, str]) -> None:
    """Add a statement to the files of the command's noun; without any, make them for who writes or asks for it."""
    folder, verb = f"storage/{command.domain}", command.verb
    for noun in (command.noun, command.thing, f"{command.thing}s"):
        sql, module = f"{folder}/{noun}.sql", f"{folder}/{noun}_postgres.py"
        if not (_is_there(skeleton, sql) and _is_there(skeleton, module)):
            continue
        kept = skeleton.read(module)
        if "\n_sql = load(" in kept:
            if f"def {verb}(" not in kept:
                skeleton.texts[sql] = skeleton.read(sql) + "\n" + texts.SQL.substitute(names)
                grown = _with_imports(
                    kept, "from uuid import UUID", "from storage.engines.postgres import Connection"
                )
                skeleton.texts[module] = grown + texts.STATEMENT.substitute(names)
            return
    if command.with_storage or not command.is_query:
        noun = command.noun if command.noun.endswith("s") else f"{command.noun}s"
        skeleton.create(f"{folder}/{noun}.sql", texts.SQL.substitute(names))
        storage = texts.STORAGE.substitute(names, file=noun) + texts.STATEMENT.substitute(names)
        skeleton.create(f"{folder}/{noun}_postgres.py", storage)


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


def _with_route(text: str, path: str, command: Command, names: Mapping[str, str]) -> str:
    """Add a route at the end of the tuple of routes, and what it needs to the imports."""
    found = [
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and (_target(node) == "ROUTES" or (command.topic and _target(node).endswith("_ROUTES")))
    ]
    if not found or not isinstance(found[0], ast.Tuple):
        raise UsageError(f"{path} has no tuple ROUTES")
    entries = found[0]
    lines = text.splitlines(keepends=True)
    before = "".join(lines[: (entries.end_lineno or 0) - 1])
    last = lines[(entries.end_lineno or 0) - 1]
    closing = (entries.end_col_offset or 0) - 1
    opening = last[:closing] if last[:closing].strip() else ""
    separator = "\n" if opening else ""
    grown = before + opening + separator + texts.ROUTE.substitute(names) + last[closing:]
    grown += "".join(lines[entries.end_lineno or 0 :])
    words = [names["struct"], *([command.reply] if command.reply else [])]
    return _with_imports(
        grown,
        "from handlers.contract import Permission, Route",
        "from {module}.{verb} import {verb}".format(**names),
        f"from {names['words']} import {', '.join(words)}",
    )


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
        raise UsageError(f"{DOMAINS_FILE} has no tuple DOMAINS on one line")
    return _with_imports(grown, f"from handlers import {domain}")


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
