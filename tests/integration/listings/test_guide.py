"""The dialogues of docs/listings.md run as printed.

A line is `who domain.verb {fields} -> what must be in the answer`, or `-> error_code` for a refusal. `$name` stands for
a value that an earlier line kept with `keep name=field`.
"""

import json
import re
from pathlib import Path

import pytest

from handlers.contract import ANONYMOUS, Caller
from protocols.errors import Refusal
from protocols.values import new_id

GUIDE = Path(__file__).parents[3] / "docs" / "listings.md"
BLOCKS = re.findall(
    r"^## ([^\n]+)\n(?:(?!^## ).)*?^```dialogue\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE
)
LINE = re.compile(r"(\w+) listings\.(\w+) (\{.*?\}) -> (.+?)(?: keep (\w+)=(\w+))?")


def contains(answer, wanted) -> bool:
    if isinstance(wanted, dict):
        return isinstance(answer, dict) and all(
            name in answer and contains(answer[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return len(answer) == len(wanted) and all(map(contains, answer, wanted))
    return answer == wanted


def test_there_are_dialogues():
    assert BLOCKS


@pytest.mark.parametrize("text", [text for _, text in BLOCKS], ids=[title for title, _ in BLOCKS])
async def test_the_dialogue_goes_as_printed(shop, text):
    people = {"anyone": ANONYMOUS}
    kept = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        who, verb, fields, wanted, name, field = match.groups()
        caller = people.setdefault(who, Caller(user_id=new_id(), roles=frozenset({"user", who})))
        asked = json.loads(re.sub(r'"\$(\w+)"', lambda m: json.dumps(kept[m[1]]), fields))
        try:
            answer = await shop.call(verb, caller, **asked)
        except Refusal as refusal:
            answer = json.dumps(type(refusal).code)
        expected = json.loads(wanted) if wanted.startswith("{") else json.dumps(wanted)
        assert contains(answer, expected), f"{line}\n{answer}"
        if name:
            kept[name] = answer[field]
