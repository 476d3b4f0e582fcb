"""How many random worlds an oracle judges: some in the first tier, many in the second, `ORACLE_RUNS` when it is set."""

import os

import pytest

FEW = 1_000
MANY = int(os.environ.get("ORACLE_RUNS", "10000"))

at_both_scales = pytest.mark.parametrize("runs", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
"""For a test that takes the number of worlds as `runs`."""
