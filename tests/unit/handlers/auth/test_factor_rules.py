"""One-time codes: the vectors of RFC 6238, drift, replay, and codes as people type them."""

import pytest

from handlers.auth.factors import rules

SECRET = b"12345678901234567890"


# Source: RFC 6238, appendix B, SHA-1; the last six of eight digits.
@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(at_s, code):
    assert rules.code_of(SECRET, at_s // 30) == code
    assert rules.find_step(SECRET, code, 0, at_s * 1000) == at_s // 30


@pytest.mark.parametrize(("off", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_one_step(off, good):
    now_ms = 1_800_000_000_000
    step = now_ms // rules.STEP_MS + off
    assert rules.find_step(SECRET, rules.code_of(SECRET, step), 0, now_ms) == (step if good else None)


def test_no_code_is_good_that_is_not_after_the_last_one():
    now_ms = 1_800_000_000_000
    step = now_ms // rules.STEP_MS
    for last in (step, step + 1):
        assert rules.find_step(SECRET, rules.code_of(SECRET, step), last, now_ms) is None
    assert rules.find_step(SECRET, rules.code_of(SECRET, step), step - 1, now_ms) == step


def test_digits_may_have_spaces_and_nothing_else():
    assert rules.read_digits("123 456") == "123456"
    for text in ("", "12345", "1234567", "12345a", "\u0661\u0662\u0663\u0664\u0665\u0666", "123456\n"):
        assert rules.read_digits(text) is None
    assert rules.find_step(SECRET, "", 0, 59_000) is None


def test_a_recovery_code_is_read_whatever_its_case_and_hyphens():
    shown = rules.to_recovery_code(bytes(range(10)))
    assert len(shown) == 19
    assert rules.hash_recovery_code(shown.upper().replace("-", "")) == rules.hash_recovery_code(shown)
    for text in ("", "123456", shown[:-1], shown + "a"):
        assert rules.hash_recovery_code(text) is None


def test_an_address_in_a_uri_is_escaped():
    uri = rules.to_uri(SECRET, "amina+a&secret=x@example.org")
    assert uri.startswith(
        "otpauth://totp/Mnbara:amina%2Ba%26secret%3Dx%40example.org?secret=GEZDGNBVGY3TQOJQ"
    )
