"""The names that follow from a command's verb and noun: its struct, its reply, its path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from server.cli.skeleton_texts import CALL, CALL_WITH_KEY, CALL_WITHOUT_REPLY
from server.cli.verb import UsageError

_VERB = re.compile(r"[a-z]+(_[a-z0-9]+)+")
_MAKING = frozenset({"add", "create", "make"})
"""Verbs whose command makes the thing: there is no id before it."""

_PATH = re.compile(r"/v1(/[a-z0-9-]+|/\{[a-z_]+\})+")


def singular(noun: str) -> str:
    """Return the noun of one thing: listings, categories, addresses."""
    for ending, one in (("ies", "y"), ("sses", "ss"), ("ss", "ss"), ("s", "")):
        if noun.endswith(ending):
            return noun.removesuffix(ending) + one
    return noun


def camel(words: str) -> str:
    """Return the name of a class."""
    return "".join(word.capitalize() for word in words.split("_"))


@dataclass(frozen=True, slots=True)
class Command:
    """A command or query that is to be written, as its author calls it."""

    domain: str
    verb: str
    method: str = "POST"
    path: str = ""
    topic: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a name. Raises UsageError."""
        if not _VERB.fullmatch(self.verb):
            raise UsageError(
                f"{self.verb!r} is no name of a command; write a verb and a noun, like store_parcel"
            )
        if self.path and not _PATH.fullmatch(self.path):
            raise UsageError(f"{self.path!r} is no path; write one like '/v1/parcels/{{parcel_id}}/seller'")

    @property
    def is_query(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    @property
    def action(self) -> str:
        """What is done."""
        return self.verb.partition("_")[0]

    @property
    def noun(self) -> str:
        """To what."""
        return self.verb.partition("_")[2]

    @property
    def thing(self) -> str:
        """One of it."""
        return singular(self.noun)

    @property
    def makes_thing(self) -> bool:
        """Whether it makes what the domain is about, and names nothing that is there already."""
        return self.method == "POST" and self.action in _MAKING and self.noun == singular(self.domain)

    @property
    def reply(self) -> str:
        """The struct of the answer; empty for a command that answers nothing."""
        if self.method == "DELETE":
            return ""
        ending = {"list": "List", "count": "Count"}.get(self.action)
        return camel(self.thing) + ending if ending else camel(self.noun)

    @property
    def is_list(self) -> bool:
        """Whether it reads pages; a cursor that is none of ours is InvalidInput."""
        return self.reply.endswith("List")

    def reply_structs(self) -> dict[str, str]:
        """Return the structs of the answer, each with its fields."""
        one = camel(self.thing)
        if self.reply == f"{one}List":
            return {
                one: "\n    id: UUID\n",
                self.reply: f"\n    items: list[{one}]\n    next_cursor: str | None\n",
            }
        return {self.reply: ""} if self.reply else {}

    def route_path(self) -> str:
        """Return the path: the given one, or what such commands mostly have."""
        base, one = f"/v1/{self.domain}", f"{{{self.thing}_id}}"
        if self.path:
            return self.path
        if self.noun == self.domain:
            return base if self.action == "list" else f"{base}/{self.action}"
        if self.makes_thing:
            return base
        if self.noun == singular(self.domain):
            return f"{base}/{one}/{self.action}" if self.method == "POST" else f"{base}/{one}"
        return f"{base}/{(self.noun if self.is_query else self.verb).replace('_', '-')}"

    def names(self) -> dict[str, str]:
        """Return what the templates are filled with."""
        path = self.route_path()
        fields = {name: "UUID" if name.endswith("_id") else "str" for name in re.findall(r"{(\w+)}", path)}
        given = {name: "new_id()" if kind == "UUID" else '"x"' for name, kind in fields.items()}
        declared = [f"    {name}: {kind}\n" for name, kind in fields.items()]
        options = ""
        if self.method == "POST":
            declared.append('    key: Key = ""\n')
            given["key"] = "str(new_id())"
            options += '        key="required",\n'
        if self.makes_thing:
            options = f"        status=201,\n{options}"
        if self.is_list:
            options += "        cost=2,\n        refusals=(InvalidInput,),\n"
            declared.append("    limit: PageLimit = 20\n    cursor: Cursor | None = None\n")
        if not self.reply:
            options += "        status=204,\n"
        return {
            "domain": self.domain,
            "verb": self.verb,
            "name": f"{self.domain}.{self.verb}",
            "struct": camel(self.verb),
            "reply": self.reply or "None",
            "path": path,
            "method": self.method,
            "fields": "\n" + "".join(declared) if declared else "",
            "calls": self._calls(given),
            "imports": "from protocols.values import new_id\n" if "new_id()" in str(given) else "",
            "options": options,
        }

    def _calls(self, given: Mapping[str, str]) -> str:
        """Return the calls of the test: one with a key is made twice."""
        name = f"{self.domain}.{self.verb}"
        if "key" not in given:
            call = CALL if self.reply else CALL_WITHOUT_REPLY
            return call.substitute(
                name=name, given="".join(f", {word}={value}" for word, value in given.items())
            )
        members = ", ".join(f'"{word}": {value}' for word, value in given.items())
        return CALL_WITH_KEY.substitute(name=name, given=members)
