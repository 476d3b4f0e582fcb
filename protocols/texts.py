"""The one spelling of text that is searched, matched or judged: words of letters and digits, one space between two.

`fold` writes a text so, `fold_query` what a person searches for. Two texts are the same word when they differ by case,
width, accents, vowel signs of Arabic and Hebrew, letters that one script writes in several ways, invisible characters,
digits of another script, or letters of another script that stand in for Latin ones within a word. An ideograph or kana
is a word of its own. The database splits at spaces alone, so that what a word is is decided here.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

FOLD_VERSION = 1
"""Rows keep the version that they were folded by. A change of what `fold` returns counts it on, and a migration sets
the timer `fold_texts`, which folds rows of other versions anew."""

MARKS_MAX = 30
"""Marks kept in a row, as in stream-safe text (UAX #15): putting them in order costs the square of their number."""

_LETTERS = {
    **dict(zip("øđðłħŧıĸɑɡ", "oddlhtikag", strict=True)),
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ŋ": "n",
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),  # small capitals
    **{chr(first + n): chr(97 + n) for first in (0x1F150, 0x1F170) for n in range(26)},  # white on black
    **dict.fromkeys("\u0671", "\u0627"),  # alef
    **dict.fromkeys("\u0649\u06cc\u06d0\u06d2", "\u064a"),  # ya
    **dict.fromkeys("\u06a9\u06aa", "\u0643"),  # kaf
    **dict.fromkeys("\u0629\u06be\u06c1\u06c3\u06d5", "\u0647"),  # ha and ta marbuta
    **dict.fromkeys("\u0640\u02be\u02bf\u115f\u1160", ""),  # tatweel, half rings, fillers of Hangul
    **dict.fromkeys("\u02b9\u02bb\u02bc\u02bd\u2120\u2122", " "),  # apostrophes that count as letters; SM, TM
}
"""Letters that Unicode does not decompose, as people type them."""

_DROPPED_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711\u0730-\u074a"
    "\u0897-\u089f\u08ca-\u08ff\u17b4\u17b5\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufb1e\ufe00-\ufe0f"
    "\ufe20-\ufe2f\U000e0100-\U000e01ef]"
)
"""Marks without which a word is still the same word; vowel signs of Indic scripts and of Thai are none of them."""

_LONE_MARKS = frozenset(
    "\u1715\u1734\u1bf2\u1bf3\u1ce1\u1cf7\u302e\u302f\ua9c0\uabec\U000111c0\U00011235\U0001134d"
    "\U000116b6\U0001193d\U0001d165\U0001d166\U0001d16d\U0001d16e\U0001d16f\U0001d170\U0001d171"
    "\U0001d172"
)
"""Marks at which the database would split a word."""

_NUKTA = 7
_MARKS = re.compile(rf"([^\w ]{{{MARKS_MAX}}})[^\w ]+")
_VOICING = re.compile("[\u3099\u309a]")
"""Marks of kana that went into no letter."""

_IDEOGRAPH = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff])")

_TWINS = str.maketrans(
    "авсԁеғһніјкӏмпоԛргѕтѵԝхуαβεζηικμνορτυχω",  # codespell:ignore
    "abcdefhhijklmnoqprstvwxyabeznikmvoptuxw",
)
"""Letters of Cyrillic and Greek that look like a Latin one, small or capital."""

_EXACT_TWINS = frozenset(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u04cf\u03bf"
)
_OTHER_SCRIPT = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_LATIN = re.compile("[a-z]")

_SIGN = re.compile(r"(?<=[^\W\d_])[@$]|[@$](?=[^\W\d_])")
"""A sign beside a letter: amounts have theirs beside a digit."""

_ONE = "\ufffc"
"""Stands for the digit one, which looks like an i and like an l; no folded text has it."""

_DIGITS_READ = "013457"
_AS_LETTERS = str.maketrans(_DIGITS_READ, f"o{_ONE}east")
_SPELT_APART = frozenset("abcdefghijklmnopqrstuvwxyz" + _DIGITS_READ)

SINGLES_MIN = 3
"""Single characters in a row that are read as a word: `7 t` is a size and the beginning of a shirt."""

READ_MIN = 4
"""Characters of a word in which digits are read as letters: `5s`, `4x4` and `mp3` are what they are."""


def fold(text: str) -> str:
    """Return a text as words in their one spelling. Cost: linear."""
    if text.isascii():
        return " ".join(text.translate(_ASCII).split())
    spelt = unicodedata.normalize("NFC", _MARKS.sub(r"\1", text.translate(_spellings)))
    spelt = _VOICING.sub("", spelt)
    return " ".join(map(_without_twins, _IDEOGRAPH.sub(r" \1 ", spelt).split()))


def unmask(folded: str) -> str:
    """Return a folded text with words wholly of letters that look Latin as Latin words.

    A text that also has words which nobody takes for Latin ones is in that language, and stays as it is. Cost: linear.
    """
    foreign = [word for word in folded.split() if _OTHER_SCRIPT.search(word)]
    if not all(_EXACT_TWINS.issuperset(word) for word in foreign):
        return folded
    return folded.translate(_TWINS)


def looks_like(text: str) -> str:
    """Return what a person may read in a text that is spelt to pass a rule, folded; "" where that is the text itself.

    Digits and signs within a word stand for the letters that they look like (`wh1sky`), single letters in a row for a
    word (`w.h.i.s.k.y`). Sizes and models stay: a word of fewer than four characters, or of more digits than letters.
    Cost: linear.
    """
    seen = unmask(fold(text)).split()
    spelt = _SIGN.sub(lambda sign: "a" if sign[0] == "@" else "s", text)
    joined, extra = _join_singles(seen if spelt == text else unmask(fold(spelt)).split())
    read = [_read_digits(word) for word in (*joined, *extra)]
    if read == seen:
        return ""
    folded = " ".join(read)
    return folded if _ONE not in folded else f"{folded.replace(_ONE, 'i')} {folded.replace(_ONE, 'l')}"


def _join_singles(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words with single characters in a row as one, and such words without the articles at their ends."""
    joined: list[str] = []
    extra: list[str] = []
    for is_single, group in groupby(words, _SPELT_APART.__contains__):
        row = list(group)
        if not is_single or len(row) < SINGLES_MIN:
            joined += row
            continue
        run = "".join(row)
        joined.append(run)
        extra += sorted({run.lstrip("ai"), run.rstrip("ai"), run.strip("ai")} - {run, ""})
    return joined, extra


def _read_digits(word: str) -> str:
    digits = sum(map(word.count, _DIGITS_READ))
    if not digits or len(word) < READ_MIN or 2 * sum(map(str.isalpha, word)) < len(word):
        return word
    return word.translate(_AS_LETTERS)


def fold_query(text: str) -> str:
    """Return what a person searches for, folded, in the notation of a web search: `or`, `-word`, `"a phrase"`.

    Words that marks of punctuation join are a phrase; slashes, commas and brackets stand between words. Cost: linear.
    """
    pieces = _QUOTE.split(text)
    pairs = (len(pieces) - 1) // 2  # a quotation mark without another one is none
    found: list[str] = []
    for place, piece in enumerate(pieces):
        if place % 2 and place < 2 * pairs:
            before = pieces[place - 1]
            found += _phrase(piece, "-" if before == "-" or before.endswith(" -") else "")
        else:
            found += _query_words(piece)
    return " ".join(found)


_QUOTE = re.compile('["\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02]')
_BETWEEN = re.compile(r"[/\\|,;:&+()\[\]{}<>\u060c\u061b\u3001\uff0c\uff0f]")


_OR_MAX = 8
"""Characters within which a word may be `or`, with marks around it."""


def _query_words(text: str) -> Iterator[str]:
    for chunk in text.split():
        if len(chunk) < _OR_MAX and fold(chunk) == "or":
            yield "or"
            continue
        sign = "-" if chunk.startswith("-") else ""
        for part in _BETWEEN.split(chunk):
            yield from _phrase(part, sign)


def _phrase(text: str, sign: str) -> Iterator[str]:
    words = fold(text)
    if " " in words or words == "or":
        yield f'{sign}"{words}"'
    elif words:
        yield sign + words


def _without_twins(word: str) -> str:
    """Return a word that mixes Latin letters with others that look like them in Latin letters alone."""
    if word.isascii() or not (_LATIN.search(word) and _OTHER_SCRIPT.search(word)):
        return word
    return word.translate(_TWINS)


class _Spellings(dict[int, str]):
    """How each character is spelt, found out when it is first met; kept for the 65,536 most used ones at most."""

    def __missing__(self, code: int) -> str:
        spelt = _spell(chr(code))
        if code < 0x10000:
            self[code] = spelt
        return spelt


def _spell(char: str) -> str:
    """Return one character as letters, digits and marks; a space for what stands between words."""
    if char in _LETTERS:
        return _LETTERS[char]
    normalize = unicodedata.normalize
    letters = normalize("NFKD", normalize("NFKD", char).casefold().lower())  # Cherokee folds to capitals
    apart = " " if unicodedata.decomposition(char).startswith("<fraction>") else ""
    return apart + "".join(map(_spell_letter, letters))


def _spell_letter(letter: str) -> str:
    if letter in _LETTERS:
        return _LETTERS[letter]
    category = unicodedata.category(letter)
    if category in {"Nd", "No"}:
        return str(unicodedata.digit(letter, " "))
    if category[0] == "M" and (_DROPPED_MARKS.match(letter) or unicodedata.combining(letter) == _NUKTA):
        return ""
    if category == "Cf" or letter in _LONE_MARKS:
        return ""
    return letter if category[0] in "LMN" else " "


_spellings = _Spellings()
_ASCII = {code: _spell(chr(code)) for code in range(128)}
