"""`./mnbara test` runs a tier on several workers, and what is named as it is named."""

import pytest

from server.cli.tiers import needs_sdk, pytest_arguments


def tier_of(*words):
    """Return the expression of marks, how many workers run, and what is left of the words."""
    arguments = pytest_arguments(words)
    workers = int(arguments[1]) if arguments[0] == "-n" else 1
    rest = arguments[5:] if workers > 1 else arguments
    tier = rest[1] if rest[:1] == ["-m"] else ""
    return tier, workers, rest[2:] if tier else rest


@pytest.mark.parametrize("words", [[], ["-x", "-q"], ["--durations=5"]])
def test_without_names_the_first_tier_runs(words):
    assert tier_of(*words) == ("not slow", 3, words)


def test_slow_runs_the_second_tier_only():
    assert tier_of("-x", "--slow", "-q") == ("slow", 2, ["-x", "-q"])


@pytest.mark.parametrize(
    "words",
    [
        ["tests/conftest.py", "-x"],
        ["-q", "tests/conftest.py::test_x"],
        ["-k", "bid"],
        ["-kbid"],
        ["tests/unit", "-k", "bid"],
    ],
)
def test_named_files_and_expressions_run_in_one_process_whatever_their_tier(words):
    assert pytest_arguments(words) == words


def test_the_callers_own_expression_of_marks_is_kept():
    assert pytest_arguments(["-m", "slow"]) == ["-m", "slow"]


def test_a_named_folder_runs_both_its_tiers_on_several_workers():
    assert tier_of("tests/unit") == ("", 3, ["tests/unit"])


def test_the_javascript_sdk_is_fetched_for_tests_that_take_it():
    for words in ([], ["-x"], ["tests"], ["tests/conformance"], ["tests/conformance/test_javascript_sdk.py"]):
        assert needs_sdk(words), words
    for words in (["tests/architecture/test_shape.py", "-x"], ["tests/unit/protocols"]):
        assert not needs_sdk(words), words
