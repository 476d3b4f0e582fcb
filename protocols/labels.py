"""The one policy for text that names something on one line: users, titles, saved searches, labels.

A label shows: something in it is visible, nothing in it hides, turns the text around it, or ends the line. What a
character may do is told by its block, so that characters younger than the interpreter's Unicode are taken.
"""

import re
import unicodedata
from typing import NoReturn

from protocols.errors import InvalidInput

_REFUSED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u206a-\u206f\ufdd0-\ufdef\ufff0-\ufffb\ue000-\uf8ff"
    "\ud800-\udfff\U000f0000-\U0010ffff"
    + "".join(chr(plane << 16 | last) for plane in range(15) for last in (0xFFFE, 0xFFFF))
    + "]"
)
"""Controls, line ends, overrides and isolates of direction, noncharacters, halves of pairs, private characters."""

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters that show nothing of their own, assigned or not yet."""

_EMOJI = "\u00a9\u00ae\u203c-\u3299\ufe0f\U0001f000-\U0001faff"
_JOINING = "\u0600-\u061b\u061d-\u1cff\ua800-\uabff\ufb50-\ufdcf\ufe70-\ufefc\U00010a00-\U00011fff\U0001e900-\U0001e95f"
"""Scripts from Arabic to Mongolian and their supplements, whose letters join or part by U+200C and U+200D."""

_SEQUENCES = re.compile(
    f"(?<=[{_EMOJI}])\u200d(?=[{_EMOJI}])"
    f"|(?<=[{_JOINING}])[\u200c\u200d]"
    "|\U0001f3f4[\U000e0020-\U000e007e]{1,16}\U000e007f"
    f"|(?<=[^\\s{_INVISIBLE}])[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]"
)
"""Where an invisible character belongs: within an emoji, beside a letter that it shapes, in a flag, as a variant."""

_BREAKS = dict.fromkeys(map(ord, "\r\n\t"), " ")
_HIDDEN = re.compile(f"[{_INVISIBLE}]")


def check_label(text: str, pointer: str, noun: str) -> str:
    """Return a label without outer white space. Raises InvalidInput. Cost: linear."""
    label = text.strip()
    if not _shows(label):
        _refuse(pointer, f"{noun} has at least one visible character")
    if found := _REFUSED.search(label):
        _refuse(
            pointer, f"{noun} is one line without control, direction or private characters: {_name(found[0])}"
        )
    if found := _HIDDEN.search(_SEQUENCES.sub("", label)):
        _refuse(pointer, f"{noun} has no invisible characters where they shape nothing: {_name(found[0])}")
    return label


def check_lines(text: str, pointer: str, noun: str) -> str:
    """Return a text of several lines likewise: line breaks and tabs are white space. Raises InvalidInput."""
    check_label(text.translate(_BREAKS), pointer, noun)
    return text.strip()


def _shows(label: str) -> bool:
    """Whether a character is visible by itself; one that this interpreter does not know is taken to be."""
    known = _HIDDEN.sub("", _REFUSED.sub("", label))
    return any(unicodedata.category(c)[0] not in "MZ" and c != "\u2800" for c in known)


def _name(char: str) -> str:
    return f"U+{ord(char):04X}"


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])
