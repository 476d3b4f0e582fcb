"""Words and numbers of refusals: each has one owner, and who takes a taken one is told what is free."""

import pytest

import server.domains  # noqa: F401 - every refusal is in the catalogue
from protocols.errors import BLOCKS, CATALOGUE, Refusal, free_number


def declare(code, number):
    return type("Declared", (Refusal,), {"code": code, "number": number})


@pytest.mark.parametrize(
    ("code", "number", "told"),
    [
        ("weird", 400, f"400 is invalid_input of protocols.errors; {free_number(400)} is free"),
        ("not_found", 1985, "protocols.errors has the code not_found already"),
        ("weird", 2000, "out of 400-1999"),
    ],
)
def test_what_is_taken_is_refused_with_its_owner_and_what_is_free(code, number, told):
    known = dict(CATALOGUE)
    with pytest.raises(RuntimeError, match=told):
        declare(code, number)
    assert known == CATALOGUE


def test_a_free_number_is_the_lowest_that_nobody_has():
    taken = {refusal.number for refusal in CATALOGUE.values()}
    assert free_number(1980) == 1980
    assert all(number in taken for number in range(400, free_number(400)))
    assert free_number(400) not in taken


def test_refusals_have_numbers_of_their_domains_block():
    strangers = []
    for code, refusal in CATALOGUE.items():
        layer, domain, *_ = refusal.__module__.split(".")
        if layer == "protocols":  # others are of tests
            first = BLOCKS["general" if domain == "errors" else domain]
            size = 10 if first >= 1900 else 100
            if refusal.number not in range(first, first + size):
                strangers.append((code, refusal.number, f"not in {first}-{first + size - 1}"))
    assert strangers == []
