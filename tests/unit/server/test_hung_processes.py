"""Processes that live and do not answer: the supervisor replaces them, and only them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.local.pulse import LOOK_EVERY_S, SILENT_S_MAX, Pulse
from server.local.supervisor import PAUSE_S_MIN, Child, Supervisor, signals_stop
from server.process.heartbeat import BEAT_EVERY_S

ROOT = Path(__file__).parents[3]

PROGRAM = """
import asyncio, faulthandler, os, signal, sys, time
from pathlib import Path
from server.process import heartbeat
from server.local.supervisor import STACK_SIGNAL

heartbeat.BEAT_EVERY_S = 0.02
faulthandler.register(STACK_SIGNAL)

def beat():
    heartbeat.Heartbeat(lambda lag: None, int(sys.argv[1])).start()

def spin_for_ever():
    while True:
        pass

async def main():
    {main}
    await asyncio.Event().wait()

asyncio.run(main())
"""

SUPERVISOR = """
import subprocess, sys
from server.local.programs import die_with_parent
from server.local.pulse import Pulse
from server.local.supervisor import Child, StopRequested, Supervisor, signals_stop

pulse = Pulse(silent_s_max=1.5)
command = [sys.executable, "-c", sys.argv[1], str(pulse.beats_fd)]
ends = die_with_parent(9)
spawn = lambda: subprocess.Popen(command, pass_fds=[pulse.beats_fd], preexec_fn=ends)
child = Child("server-0", spawn, pulse=pulse)
supervisor = Supervisor(lambda line: print("said", line, flush=True), look_every_s=0.1)
with signals_stop(supervisor.kill) as fd:
    supervisor.start(child)
    try:
        while True:
            supervisor.tend(60, fd)
            heard = pulse.has_beaten and pulse.silent_s == 0
            print("heard" if heard else "silence", supervisor.pids().get("server-0", 0), flush=True)
    except StopRequested:
        supervisor.stop()
"""


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(said):
    made = Supervisor(said.append, look_every_s=0.05)
    yield made
    for child in made.children:
        child.grace_s = 0.0
    made.stop()


def child_of(main, pulse, log=None):
    command = [sys.executable, "-c", PROGRAM.replace("{main}", main), str(pulse.beats_fd)]

    def spawn():
        with (log or Path(os.devnull)).open("ab") as stream:
            return subprocess.Popen(command, cwd=ROOT, pass_fds=[pulse.beats_fd], stderr=stream)

    return Child("server-0", spawn, pulse=pulse)


def tend_until(supervisor, fd, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in time"
        supervisor.tend(0.5, fd)


def test_the_limits_add_up_to_a_replacement_within_five_seconds():
    start_s = 1.0  # of a server process, measured
    assert BEAT_EVERY_S <= LOOK_EVERY_S
    assert SILENT_S_MAX + LOOK_EVERY_S + PAUSE_S_MIN + start_s < 5


def test_a_stopped_process_is_replaced_and_the_line_says_why(supervisor, said):
    pulse = Pulse(silent_s_max=0.5)
    with signals_stop(supervisor.kill) as fd:
        supervisor.start(child_of("beat()", pulse))
        before = supervisor.pids()["server-0"]
        tend_until(supervisor, fd, lambda: pulse.has_beaten)
        os.kill(before, signal.SIGSTOP)
        tend_until(supervisor, fd, lambda: supervisor.pids().get("server-0", before) != before)
        tend_until(supervisor, fd, lambda: pulse.has_beaten)
    assert said == ["server-0 has not answered for 0.5 s: killed; starts again in 0.1 s"]


def test_a_process_whose_loop_spins_is_replaced_and_its_log_says_where_it_was(supervisor, said, tmp_path):
    pulse = Pulse(silent_s_max=0.5)
    main = "beat(); asyncio.get_running_loop().call_later(0.1, spin_for_ever)"
    with signals_stop(supervisor.kill) as fd:
        supervisor.start(child_of(main, pulse, tmp_path / "log"))
        tend_until(supervisor, fd, lambda: said)
    assert "has not answered for 0.5 s: killed" in said[0]
    assert "in spin_for_ever" in (tmp_path / "log").read_text()


def test_a_starting_process_has_its_longer_grace(supervisor, said, tmp_path):
    pulse = Pulse(silent_s_max=0.1, starting_s_max=60)
    go = tmp_path / "go"
    main = f"while not Path({str(go)!r}).exists(): time.sleep(0.01)\n    beat()"
    with signals_stop(supervisor.kill) as fd:
        supervisor.start(child_of(main, pulse))
        tend_until(supervisor, fd, lambda: pulse.silent_s > 0.3)
        go.touch()
        tend_until(supervisor, fd, lambda: pulse.has_beaten)
    assert said == []


def test_a_process_that_never_comes_up_is_replaced_too(supervisor, said):
    pulse = Pulse(starting_s_max=0.3)
    with signals_stop(supervisor.kill) as fd:
        supervisor.start(child_of("time.sleep(60)", pulse))
        tend_until(supervisor, fd, lambda: said)
    assert "has not answered for 0.3 s: killed" in said[0]


def test_a_replacement_that_is_starting_has_its_grace_again(supervisor, said, tmp_path):
    pulse = Pulse(silent_s_max=0.3, starting_s_max=60)
    first = tmp_path / "first"
    main = f"if Path({str(first)!r}).exists(): time.sleep(60)\n    Path({str(first)!r}).touch()\n    beat()"
    with signals_stop(supervisor.kill) as fd:
        supervisor.start(child_of(main, pulse))
        tend_until(supervisor, fd, lambda: pulse.has_beaten)
        os.kill(supervisor.pids()["server-0"], signal.SIGSTOP)
        tend_until(supervisor, fd, lambda: said and supervisor.pids())
        tend_until(supervisor, fd, lambda: pulse.silent_s > 0.6)
    assert len(said) == 1


def test_a_draining_process_has_its_grace_of_the_stop(said):
    supervisor = Supervisor(said.append, look_every_s=0.05)
    pulse = Pulse(silent_s_max=0.1)
    main = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), os._exit(7))); beat()"
    child = child_of(main, pulse)
    with signals_stop(supervisor.kill) as fd:
        supervisor.start(child)
        tend_until(supervisor, fd, lambda: pulse.has_beaten)
    supervisor.stop()
    assert child.process.returncode == 7
    assert said == []


def test_a_supervisor_that_was_stopped_with_its_machine_kills_nobody():
    beating = PROGRAM.replace("{main}", "beat()")
    program = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, beating],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )

    def await_line(word):
        for line in program.stdout:
            assert not line.startswith("said"), line
            if line.startswith(word):
                return int(line.split()[1])
        raise AssertionError("it ended")

    try:
        child = await_line("heard")
        program.send_signal(signal.SIGSTOP)
        os.kill(child, signal.SIGSTOP)
        stopped_at = time.monotonic()
        while time.monotonic() - stopped_at < 1.7:  # longer than the limit: that is the point
            time.sleep(0.05)
        program.send_signal(signal.SIGCONT)
        await_line("silence")  # it looks before the child can have beaten
        os.kill(child, signal.SIGCONT)
        assert await_line("heard") == child
    finally:
        program.terminate()
        program.communicate()
