"""Times, amounts and cells of statements."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from handlers.payments.statements.rules import SPAN_MAX_MS, check_range, decimal_text, text_cell
from protocols.errors import InvalidInput
from protocols.values import to_instant

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "pointer"),
    [
        (NOW, NOW, "/to"),
        (NOW, NOW - timedelta(days=1), "/to"),
        (NOW - timedelta(milliseconds=SPAN_MAX_MS + 1), NOW, "/to"),
        (NOW + timedelta(seconds=1), NOW + timedelta(days=1), "/from"),
        (datetime(1969, 12, 31, tzinfo=UTC), datetime(1970, 6, 1, tzinfo=UTC), "/from"),
        (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), "/from"),
    ],
)
def test_an_absurd_time_is_refused_at_its_end_or_beginning(since, until, pointer):
    with pytest.raises(InvalidInput) as refused:
        check_range(since, until, to_instant(NOW))
    assert refused.value.facts["errors"][0]["pointer"] == pointer


def test_a_whole_year_and_a_time_that_is_under_way_are_taken():
    year = NOW - timedelta(milliseconds=SPAN_MAX_MS)
    assert check_range(year, NOW, to_instant(NOW)) == (to_instant(year), to_instant(NOW))
    assert check_range(NOW - timedelta(days=1), NOW + timedelta(days=1), to_instant(NOW))


def test_amounts_have_the_decimals_of_their_currency():
    texts = [
        decimal_text(amount, code)
        for amount, code in [(-1250, "EUR"), (5, "EUR"), (-5, "EUR"), (7000, "JPY"), (-1, "JPY"), (1, "KWD")]
    ]
    assert texts == ["-12.50", "0.05", "-0.05", "7000", "-1", "0.001"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", 'a"b', "a,b", "a\r\nb", "", "plain"]
)
def test_a_cell_is_read_as_text_and_never_as_a_formula(text):
    ((cell,),) = csv.reader(io.StringIO(text_cell(text) + "\r\n", newline="")) if text else (("",),)
    assert cell.removeprefix("'") == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
