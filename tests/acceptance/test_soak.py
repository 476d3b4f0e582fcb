"""The short form of `./mnbara soak`: kills, rolling restarts and storms under load, a few seconds each."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system import scratch_home

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.timeout(170), pytest.mark.slow]


def test_nothing_is_lost_doubled_or_out_of_order_however_the_system_is_disturbed():
    with scratch_home() as home:
        told = subprocess.run(
            [sys.executable, "-m", "load.soak", "--minutes", "0.12", "--home", str(home)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-2000:]
    assert "no violation" in told.stdout
    rest = {line.split()[0]: line for line in told.stdout.splitlines() if " at rest: " in line}
    assert set(rest) == {"kills", "drain", "storm"}
    for name, line in rest.items():
        acked, taken, resumed = (
            int(re.search(rf"([\d,]+) {words}", line)[1].replace(",", ""))
            for words in ("bids acknowledged", "events taken", "resumes")
        )
        assert acked > 20, line
        assert taken > acked, line
        assert resumed > 0 or name == "kills", line
