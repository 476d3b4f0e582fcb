"""The supervisor: restarts with growing pauses, stops in order, kills what does not stop."""

import functools
import os
import signal
import subprocess
import sys
import time

import pytest

from server.local import supervisor as supervisor_module
from server.local.supervisor import Child, StopRequested, Supervisor, signals_stop


def sleeper(log, name, code="import time; time.sleep(60)"):
    def spawn():
        with log.open("a") as stream:
            stream.write(f"start {name}\n")
        return subprocess.Popen([sys.executable, "-c", code])

    return spawn


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(said):
    made = Supervisor(said.append)
    yield made
    made.kill()
    for child in made.children:
        if child.process:
            child.process.wait()


def tend_until(supervisor, fd, condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in time"
        supervisor.tend(0.5, fd)


def test_killed_child_starts_again_within_half_a_second(supervisor, said, tmp_path):
    with signals_stop(supervisor.kill) as fd:
        child = Child("server-0", sleeper(tmp_path / "log", "a"))
        supervisor.start(child)
        before = supervisor.pids()["server-0"]
        started_at = time.monotonic()
        os.kill(before, signal.SIGKILL)
        tend_until(supervisor, fd, lambda: supervisor.pids().get("server-0", before) != before)
        assert time.monotonic() - started_at < 0.5
    assert "SIGKILL" in said[0]


def test_child_that_keeps_dying_is_started_at_growing_pauses(supervisor, said, tmp_path):
    with signals_stop(supervisor.kill) as fd:
        child = Child("server-0", sleeper(tmp_path / "log", "a", "raise SystemExit(3)"))
        supervisor.start(child)
        tend_until(supervisor, fd, lambda: child.deaths == 4)
    pauses = [line.rsplit(" ", 2)[1] for line in said]
    assert pauses == ["0.1", "0.2", "0.4", "0.8"]
    assert "exit 3" in said[0]


def test_child_that_cannot_be_started_for_now_is_tried_again(supervisor, said, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "PAUSE_S_MAX", 0.2)
    start, tries = sleeper(tmp_path / "log", "a"), iter(["starts", "fails", "starts"])

    def spawn():
        if next(tries) == "fails":
            raise OSError(28, "No space left on device")
        return start()

    with signals_stop(supervisor.kill) as fd:
        child = Child("server-0", spawn)
        supervisor.start(child)
        first = child.process.pid
        child.process.kill()
        tend_until(supervisor, fd, lambda: child.process.pid != first)
        supervisor.kill()
    assert any("cannot start: No space left on device" in line for line in said)


def test_stop_ends_later_children_first(supervisor, tmp_path):
    ended = tmp_path / "ended"
    code = (
        "import signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(ended)!r}, 'a').write(sys.argv[1]+' '), sys.exit(0)))\n"
        f"open({str(ended)!r} + sys.argv[1], 'w').close()\n"
        "time.sleep(60)\n"
    )
    for name in ("postgres", "worker", "server-0"):
        command = [sys.executable, "-W", "ignore", "-c", code, name]
        supervisor.start(Child(name, functools.partial(subprocess.Popen, command)))
    while not all((tmp_path / f"ended{name}").exists() for name in ("postgres", "worker", "server-0")):
        time.sleep(0.01)
    supervisor.stop()
    assert ended.read_text().split() == ["server-0", "worker", "postgres"]


def test_child_that_ignores_the_stop_is_killed_after_its_grace(supervisor, said, tmp_path):
    ready = tmp_path / "ready"
    code = (
        f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w'); time.sleep(60)"
    )
    child = Child(
        "worker", lambda: subprocess.Popen([sys.executable, "-W", "ignore", "-c", code]), grace_s=0.2
    )
    supervisor.start(child)
    while not ready.exists():
        time.sleep(0.01)
    supervisor.stop()
    assert child.process.returncode == -signal.SIGKILL
    assert "did not stop" in said[0]


def test_first_signal_asks_to_stop_and_second_kills():
    killed = []
    with signals_stop(lambda: killed.append(True)):
        with pytest.raises(StopRequested):
            os.kill(os.getpid(), signal.SIGTERM)
        assert killed == []
        os.kill(os.getpid(), signal.SIGINT)
        assert killed == [True]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
