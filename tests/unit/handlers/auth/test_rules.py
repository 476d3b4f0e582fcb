"""The rules of auth as tables and properties."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.auth.rules import (
    REUSE_INTERVAL_MS,
    RefreshVerdict,
    check_display_name,
    check_password,
    check_refresh,
    normalise_email,
)
from protocols.auth.commands import CreateScopeToken, DescribeMe, Login, PasswordTooCommon, Register
from protocols.errors import InvalidInput

LATE = REUSE_INTERVAL_MS + 1


@pytest.mark.parametrize(
    ("current", "shown", "age_ms", "verdict"),
    [
        (0, 0, 0, RefreshVerdict.ROTATE),
        (7, 7, LATE, RefreshVerdict.ROTATE),
        (7, 6, 0, RefreshVerdict.REPEAT),
        (7, 6, LATE, RefreshVerdict.REPEAT),
        (7, 6, 10**12, RefreshVerdict.REPEAT),
        (7, 5, REUSE_INTERVAL_MS, RefreshVerdict.REPEAT),
        (7, 5, -5, RefreshVerdict.REPEAT),
        (7, 5, LATE, RefreshVerdict.REUSED),
        (7, 0, LATE, RefreshVerdict.REUSED),
        (7, 0, 1, RefreshVerdict.REPEAT),
        (7, 8, 0, RefreshVerdict.FOREIGN),
        (7, 8, LATE, RefreshVerdict.FOREIGN),
        (0, 2**64 - 1, LATE, RefreshVerdict.FOREIGN),
    ],
)
def test_counter_rule_table(current: int, shown: int, age_ms: int, verdict: RefreshVerdict) -> None:
    rotated_at_ms = 1_700_000_000_000
    assert check_refresh(current, rotated_at_ms, shown, rotated_at_ms + age_ms) is verdict


@given(
    lost=st.lists(st.booleans(), max_size=50),
    gaps_ms=st.lists(st.integers(0, 10**7), min_size=50, max_size=50),
)
def test_honest_client_that_loses_answers_is_never_revoked(lost: list[bool], gaps_ms: list[int]) -> None:
    current = saved = 0
    now_ms = rotated_at_ms = 0
    for answer_lost, gap_ms in zip(lost, gaps_ms, strict=False):
        now_ms += gap_ms
        verdict = check_refresh(current, rotated_at_ms, saved, now_ms)
        assert verdict in {RefreshVerdict.ROTATE, RefreshVerdict.REPEAT}
        if verdict is RefreshVerdict.ROTATE:
            current, rotated_at_ms = current + 1, now_ms
        if not answer_lost:
            saved = current


@given(current=st.integers(2, 10**6), behind=st.integers(2, 10**6), age_ms=st.integers(LATE, 10**10))
def test_token_two_or_more_behind_after_the_interval_is_reuse(current: int, behind: int, age_ms: int) -> None:
    shown = max(0, current - behind)
    assert check_refresh(current, 0, shown, age_ms) is RefreshVerdict.REUSED


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("Amina@Example.ORG", "amina@example.org"),
        ("a.b+tag@mail.example.co.uk", "a.b+tag@mail.example.co.uk"),
        ("x@1and1.de", "x@1and1.de"),
        ("o'neil_1-2@xn--bcher-kva.example", "o'neil_1-2@xn--bcher-kva.example"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_address_is_stored_in_one_spelling(sent: str, stored: str) -> None:
    assert normalise_email(sent) == stored


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "amina",
        "@example.org",
        "amina@",
        "amina@localhost",
        "a@b@example.org",
        ".a@example.org",
        "a..b@example.org",
        "a @example.org",
        "a@example.org\n",
        "=?utf-8?q?victim=40example.org=2c?=@example.org",  # mail programs read another address in it
        "a@exam\0ple.org",
        "a@-example.org",
        "a@example-.org",
        "a@example..org",
        "a" * 65 + "@example.org",
        "a@" + "b" * 64 + ".org",
        "a@" + ".".join(["b" * 50] * 5) + ".org",
        "ам@example.org",
        "a,b@example.org",
        "<script>@example.org",
    ],
)
def test_what_is_no_mail_address_is_refused_with_its_place(sent: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        normalise_email(sent)
    assert refused.value.facts["errors"][0]["pointer"] == "/email"


@given(st.text(max_size=300))
def test_any_text_is_judged_as_an_address_without_an_accident(text: str) -> None:
    try:
        email = normalise_email(text)
    except InvalidInput:
        return
    assert normalise_email(email) == email
    assert email.isascii()
    assert len(email) <= 254


@pytest.mark.parametrize(
    "name", ["Amina", "Łukasz Ó Briain", "阿明", "👩‍🚀 Ana", "محمد", "O'Neil-Smith", "\U0001fae8"]
)
def test_names_of_the_world_are_accepted(name: str) -> None:
    assert check_display_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "   ", "a\0b", "a\nb", "a\x1bb", "a\x7f", "a\u202eb", "a\u2028b", "a\ud800b", "a\u2066b"]
)
def test_names_with_control_characters_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_display_name(name)


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PASSWORD",
        "Password1",
        "password123!",
        "P@ssw0rd",
        "p@$$w0rd1",
        "12345678",
        "87654321",
        "1234567890",
        "qwertyui",
        "QWERTYUIOP",
        "poiuytrewq",
        "abcdefgh",
        "aaaaaaaa",
        "12121212",
        "abcabcabc",
        "11111111",
        "iloveyou",
        "iloveyou2",
        "letmein123",
        "sunshine1",
        "football1",
        "Summer2024!",
        "welcome1",
        "admin123",
        "1q2w3e4r",
        "1qaz2wsx",
        "trustno1",
        "dragon123",
        "amina.idrissi@example.org",
        "Amina El Idrissi",
        "amina.idrissi",
    ],
)
def test_first_guesses_are_refused(password: str) -> None:
    with pytest.raises(PasswordTooCommon):
        check_password(password, "amina.idrissi@example.org", "Amina El Idrissi")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "tr0ub4dor&3",
        "  spaces  ",
        "ключ от квартиры",
        "🔑🔑🗝️🚪🏠🌳🌧️☂️",
        "x" * 7 + "y" * 9,
    ],
)
def test_other_passwords_need_no_digit_no_capital_no_sign(password: str) -> None:
    check_password(password, "amina@example.org", "Amina")


@pytest.mark.parametrize("length", [0, 7, 129, 100_000])
def test_password_of_the_wrong_length_does_not_decode(length: int) -> None:
    sent = {"email": "a@example.org", "password": "é" * length, "display_name": "A"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(sent, Register)


@pytest.mark.parametrize("length", [8, 128])
def test_password_of_the_shortest_and_longest_length_decodes(length: int) -> None:
    sent = {"email": "a@example.org", "password": "é" * length, "display_name": "A"}
    assert msgspec.convert(sent, Register).password == "é" * length


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"email": 1, "password": "x", "display_name": "A"},
        {"email": "a@example.org", "password": None},
        {"email": "a@example.org", "password": "x" * 129},
        {"email": "a" * 255, "password": "x"},
        [],
        "text",
    ],
)
def test_sign_in_of_the_wrong_shape_does_not_decode(sent: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(sent, Login)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (DescribeMe, b'{"locale":"ar-EG\\n"}'),
        (CreateScopeToken, b'{"channels":["auctions:*\\n"],"ttl_s":60}'),
    ],
)
def test_a_line_break_is_part_of_no_word(kind, text: bytes) -> None:
    msgspec.json.decode(text.replace(b"\\n", b""), type=kind)
    with pytest.raises(msgspec.ValidationError, match="regex"):
        msgspec.json.decode(text, type=kind)
