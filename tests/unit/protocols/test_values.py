"""Values: ids ascend and are what RFC 9562 says; instants keep their milliseconds."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, UUID

import msgspec
import pytest

from protocols.values import Currency, new_id, now_instant, to_instant, to_timestamp


def test_ids_are_uuids_of_version_7_that_ascend():
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(i.version, i.variant) for i in ids} == {(7, RFC_4122)}
    assert abs((ids[-1].int >> 80) - now_instant()) < 10_000


def test_an_id_is_a_uuid_like_any_other():
    made = new_id()
    assert pickle.loads(pickle.dumps(made)) == made == UUID(str(made))  # noqa: S301 - our own bytes
    assert msgspec.json.decode(msgspec.json.encode(made), type=UUID) == made
    assert hash(made) == hash(UUID(str(made)))


@pytest.mark.parametrize(
    ("instant_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_793_491_200_999, "2026-11-01T00:00:00.999Z"),
    ],
)
def test_a_timestamp_is_rfc_3339_utc_with_milliseconds(instant_ms, text):
    assert to_timestamp(instant_ms) == text
    assert to_instant(datetime.fromisoformat(text)) == instant_ms


def test_an_instant_does_not_depend_on_the_offset_it_was_written_with():
    there = datetime(2026, 3, 29, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    assert to_instant(there) == to_instant(there.astimezone(UTC))


@pytest.mark.parametrize("text", ["eur", "EURO", "EUR\n", "", "E1R"])
def test_a_currency_is_three_capital_letters(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Currency)
