"""What a name or title may hold: something visible, nothing that hides or turns."""

import pytest

from handlers.auth.rules import check_display_name
from handlers.listings.rules import check_title
from handlers.listings.searches.saved_searches import check_name
from protocols.errors import InvalidInput
from protocols.labels import check_lines

KINDS = (check_display_name, check_title, check_name)


@pytest.mark.parametrize("check", KINDS)
@pytest.mark.parametrize(
    "label",
    [
        "\U0001fae8",  # an emoji of 2022
        "\U0001faea \U000323b0",  # characters that this Python may not know
        "\U0001f469\u200d\U0001f680 \u2764\ufe0f\u200d\U0001f525 \U0001f44d\U0001f3fd",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0915\u094d\u200d\u0937",
        "\u845b\U000e0100",
        "1\ufe0f\u20e3",
        "\u0600\u0661",
        "o\u0301",
    ],
)
def test_what_shows_is_taken(check, label):
    assert check(f" {label} ") == label


@pytest.mark.parametrize("check", KINDS)
@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("\u200d", "visible"),
        ("\u3164", "visible"),
        ("\u2800", "visible"),
        ("\u0301", "visible"),
        ("\ufe0f\u00ad", "visible"),
        ("a\u200db", "U+200D"),
        ("a\u200b", "U+200B"),
        ("pay\u00adpal", "U+00AD"),
        ("a\u200e", "U+200E"),
        ("a\u202eb", "U+202E"),
        ("a\u2066b", "U+2066"),
        ("a\x00", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\u2028b", "U+2028"),
        ("a\ufdd0", "U+FDD0"),
        ("a\U0001fffe", "U+1FFFE"),
        ("a\ue000", "U+E000"),
        ("a\ud800", "U+D800"),
        ("a\U000e0041", "U+E0041"),
        ("\U0001f680\u200d", "U+200D"),
    ],
)
def test_what_hides_or_turns_is_refused_by_its_number(check, label, told):
    with pytest.raises(InvalidInput) as refused:
        check(label)
    assert told in str(refused.value.detail)


def test_lines_may_break_and_are_judged_alike():
    assert check_lines(" Front\nview\t", "/caption", "A caption") == "Front\nview"
    for bad in ("a\u200b\nb", "\u200d\n", "a\x1cb"):
        with pytest.raises(InvalidInput):
            check_lines(bad, "/caption", "A caption")
