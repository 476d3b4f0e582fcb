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
            [
                sys.executable,
                "-m",
                "load.soak",
                "kills",
                "drain",
                "storm",
                "--minutes",
                "0.12",
                "--home",
                str(home),
            ],
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


def test_money_is_neither_lost_nor_doubled_however_often_who_moves_it_is_killed():
    with scratch_home() as home:
        told = subprocess.run(
            [sys.executable, "-m", "load.soak", "money", "--minutes", "0.33", "--home", str(home)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=160,
            check=False,
        )
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-2000:]
    assert "no violation" in told.stdout
    done = next(line for line in told.stdout.splitlines() if line.startswith("money done: "))
    exchanges, chains = (
        int(re.search(rf"([\d,]+) {words}", done)[1].replace(",", ""))
        for words in ("exchanges", "chains through the door")
    )
    assert exchanges > 5, done
    assert chains > 50, done
    assert "mover-0" in done or "mover-1" in done, done
