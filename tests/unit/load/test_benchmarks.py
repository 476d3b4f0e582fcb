"""Figures and their table, and what is read from the operating system."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from load.benchmarks.floor import push_lines, read_publish, text_frame
from load.benchmarks.machine import CpuMeter, cpu_s, exact_cpu_s, families, memory_kb
from load.benchmarks.report import Figure, keep, number, print_table
from load.benchmarks.turns import ratios_in_words, take_turns
from load.benchmarks.watch import completions, last_offset
from realtime.channels.fanout import encode_chunk
from realtime.channels.publication import Publication
from realtime.codecs import JSON
from realtime.ports import Entry

ROOT = Path(__file__).parents[3]


def figure(**changes):
    return Figure(**{"benchmark": "b", "what": "w", "value": 20.0, "unit": "µs", "baseline": 10.0} | changes)


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({}, None),
        ({"target": 20}, True),
        ({"target": 19.9}, False),
        ({"target": 20, "better": "higher"}, True),
        ({"target": 21, "better": "higher"}, False),
        ({"target": 2.0, "against": "ratio"}, True),
        ({"target": 1.9, "against": "ratio"}, False),
        ({"target": 2.0, "against": "ratio", "baseline": None}, None),
    ],
)
def test_target_is_held_against_the_value_or_the_ratio(changes, met):
    assert figure(**changes).is_met is met


def test_table_shows_value_baseline_ratio_and_verdict():
    out = io.StringIO()
    print_table([figure(target=19, notes={"p95": "3 ms"})], Console(file=out, width=150))
    text = out.getvalue()
    for word in ("20.0", "10.0", "2.00x", "≤ 19", "missed", "p95 3 ms"):
        assert word in text


def test_kept_figures_can_be_read_again(tmp_path):
    keep([figure(target=30)], tmp_path / "deep" / "results.json")
    told = json.loads((tmp_path / "deep" / "results.json").read_text())
    assert told["figures"][0]["value"] == 20.0
    assert told["figures"][0]["ratio"] == 2.0
    assert told["figures"][0]["is_met"] is True
    assert told["machine"]["cores"] >= 1


@pytest.mark.parametrize(
    ("value", "text"), [(0.514, "0.51"), (12.34, "12.3"), (1234.5, "1,234"), (1e6, "1,000,000")]
)
def test_number_has_the_digits_it_deserves(value, text):
    assert number(value) == text


def test_cpu_and_memory_of_this_process_are_what_the_system_says():
    until = time.process_time() + 0.05
    before = cpu_s(os.getpid())
    while time.process_time() < until:
        pass
    assert 0.02 <= cpu_s(os.getpid()) - before < 5
    assert memory_kb(os.getpid()) > 1000


def test_family_of_a_process_has_its_grandchildren():
    script = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '30']); print(p.pid, flush=True); p.wait()"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    grandchild = int(child.stdout.readline())
    try:
        assert families([child.pid])[child.pid] == [child.pid, grandchild]
        assert CpuMeter({"x": [child.pid]}).used_s()["x"] >= 0
    finally:
        os.kill(grandchild, 9)
        child.wait()
        child.stdout.close()


def test_event_is_complete_when_the_last_watcher_reached_it():
    quick, slow = [(2, 1.0), (3, 1.1)], [(3, 1.5), (4, 1.6)]
    assert completions([quick, slow], 2, 4) == {2: 1.5, 3: 1.5}


def test_last_offset_of_a_frame_is_that_of_its_last_line():
    line = b'{"push":{"channel":"c","pub":{"data":{"price":1},"offset":%d}}}'
    assert last_offset(line % 7) == 7
    assert last_offset(line % 7 + b"\n" + line % 12345) == 12345


def test_unknown_benchmark_is_refused_with_the_list():
    told = subprocess.run(
        [sys.executable, "-m", "load.benchmarks", "warp"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "unknown: warp; there are fan-out" in told.stderr


def test_the_floor_sends_byte_for_byte_what_the_core_sends(monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_790_000_000_123_456_789)
    command = read_publish(b'{"channel":"auctions:x","items":[{"price":1},{"price":2}]}')
    entries = [Entry(n, bytes(item), 1_790_000_000_123) for n, item in enumerate(command.items, 8)]
    ours = encode_chunk(JSON, "auctions:x", [Publication(entry) for entry in entries])
    assert text_frame(push_lines(command, 7)) == ours


def test_servers_take_turns_and_each_begins_as_often():
    turns = [name for name, _ in take_turns({"a": 1, "b": 2, "c": 3}, 3)]
    assert turns == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]


def test_ratios_are_those_of_rounds_that_ran_beside_each_other():
    assert ratios_in_words([11, 24, 30], [10, 20, 30]) == "1.00x .. 1.10x .. 1.20x of 3 rounds"


def test_exact_cpu_grows_by_what_a_process_uses():
    before, ticks = exact_cpu_s(os.getpid()), time.thread_time()
    sum(range(3_000_000))
    used, thread_used = exact_cpu_s(os.getpid()) - before, time.thread_time() - ticks
    assert used == pytest.approx(thread_used, rel=0.5)
