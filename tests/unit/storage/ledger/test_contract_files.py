"""What is put on a chain is what the sources say."""

import pytest

from storage.ledger.contracts import load_contract
from tests.support.contracts import NAMES, compile_contract, sha256_of


def test_every_compiled_contract_is_of_the_source_beside_it():
    assert NAMES == ("anchor", "settlement")
    assert {name: load_contract(name).source_sha256 for name in NAMES} == {
        name: sha256_of(name) for name in NAMES
    }, "run `.venv/bin/python -m tests.support.contracts`"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_compiler_makes_the_same_of_a_source(name: str):
    assert compile_contract(name) == load_contract(name)
