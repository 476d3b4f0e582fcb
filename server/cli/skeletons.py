"""The skeleton of a command or a domain in every layer, as changes that are judged first and written together."""

import ast
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.cli import skeleton_texts as texts
from server.cli.verb import UsageError

DOMAINS_FILE = "server/domains.py"
SETTINGS_FILE = "pyproject.toml"
PACKAGES = {"protocols": "The words", "handlers": "", "storage": "The tables"}
"""Layers in which a domain has a folder, and what its `__init__.py` says; handlers have a table of contents."""

_VERB = re.compile(r"[a-z]+(_[a-z0-9]+)+")
_ALL_DOMAINS = re.compile(r"^(DOMAINS: [^=\n]+= \((?:\w+\.DOMAIN,?\s*)*)\)", re.MULTILINE)
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
    """Add a domain with a first query, `list_<domain>`. Raises UsageError."""
    if not (domain.isascii() and domain.isalpha() and domain.islower()) or keyword.iskeyword(domain):
        raise UsageError(f"{domain!r} is no name of a domain; write one word in small letters, like parcels")
    for layer, what in PACKAGES.items():
        text = texts.PACKAGE if what else texts.DOMAIN
        skeleton.create(f"{layer}/{domain}/__init__.py", text.substitute(domain=domain, what=what))
    skeleton.create(f"protocols/{domain}/commands.py", texts.WORDS.substitute(domain=domain))
    add_command(skeleton, domain, f"list_{domain}", is_query=True)
    skeleton.texts[DOMAINS_FILE] = _with_domain(skeleton.read(DOMAINS_FILE), domain)
    skeleton.texts[SETTINGS_FILE] = _with_contracts(skeleton.read(SETTINGS_FILE), domain)


def add_command(skeleton: Skeleton, domain: str, verb: str, *, is_query: bool) -> None:
    """Add a command or query to a domain, in every layer. Raises UsageError."""
    if not _VERB.fullmatch(verb):
        raise UsageError(f"{verb!r} is no name of a command; write a verb and a noun, like store_parcel")
    table, words = f"handlers/{domain}/__init__.py", f"protocols/{domain}/commands.py"
    if table not in skeleton.texts and not (skeleton.root / table).exists():
        raise UsageError(f"there is no domain {domain!r}; ./mnbara new-domain {domain} makes one")
    names = {
        "domain": domain,
        "verb": verb,
        "name": f"{domain}.{verb}",
        "struct": "".join(word.capitalize() for word in verb.split("_")),
        "path": verb.replace("_", "-"),
        "method": "GET" if is_query else "POST",
        "fields": "" if is_query else texts.KEY_FIELD,
        "key": "" if is_query else texts.KEY_REQUIRED,
    }
    skeleton.create(f"handlers/{domain}/{verb}.py", texts.HANDLER.substitute(names))
    skeleton.create(f"storage/{domain}/{verb}.sql", texts.SQL.substitute(names))
    skeleton.create(f"storage/{domain}/{verb}_postgres.py", texts.STORAGE.substitute(names))
    skeleton.create(f"tests/integration/{domain}/test_{verb}.py", texts.TEST.substitute(names))
    skeleton.texts[words] = _with_structs(skeleton.read(words), names)
    skeleton.texts[table] = _with_route(skeleton.read(table), names)


def _with_structs(words: str, names: Mapping[str, str]) -> str:
    if f"\nclass {names['struct']}(" in words or f"\nclass {names['struct']}Reply(" in words:
        raise UsageError(f"protocols/{names['domain']}/commands.py has a class {names['struct']} already")
    grown = _with_imports(words, "from msgspec import Struct")
    if names["fields"]:
        grown = _with_imports(grown, "from protocols.values import Key")
    return grown + texts.STRUCTS.substitute(names)


def _with_route(table: str, names: Mapping[str, str]) -> str:
    """Add a route at the end of the tuple `ROUTES`, and what it needs to the imports."""
    found = [
        node.value
        for node in ast.parse(table).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and _target(node) == "ROUTES"
    ]
    if not found or not isinstance(found[0], ast.Tuple):
        raise UsageError(f"handlers/{names['domain']}/__init__.py has no tuple ROUTES")
    entries = found[0]
    lines = table.splitlines(keepends=True)
    before = "".join(lines[: (entries.end_lineno or 0) - 1])
    last = lines[(entries.end_lineno or 0) - 1]
    closing = (entries.end_col_offset or 0) - 1
    opening = last[:closing] if last[:closing].strip() else ""
    separator = "\n" if opening else ""
    grown = before + opening + separator + texts.ROUTE.substitute(names) + last[closing:]
    grown += "".join(lines[entries.end_lineno or 0 :])
    return _with_imports(
        grown,
        "from handlers.contract import Permission, Route",
        "from handlers.{domain}.{verb} import {verb}".format(**names),
        "from protocols.{domain}.commands import {struct}, {struct}Reply".format(**names),
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
