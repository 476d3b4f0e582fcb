"""Metrics: what a scrape shows, over one process and over several, and what counting costs."""

import os
import subprocess
import sys
import textwrap
import time

from prometheus_client.parser import text_string_to_metric_families

from handlers.auth.passwords import PasswordHasher
from server.process.metrics import Metrics
from server.process.process_figures import copy_process
from server.process.sharing import DEAD_KEPT, FILE_BYTES, SHARED_VARIABLE, share_metrics, shared_folder


def samples(text):
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text.decode() if isinstance(text, bytes) else text)
        for s in family.samples
    }


def test_every_metric_has_our_prefix():
    families = list(text_string_to_metric_families(Metrics().render().decode()))
    assert len(families) > 10
    assert all(family.name.startswith("mnbara_") for family in families)


def test_the_latency_histogram_has_an_edge_at_the_promise():
    metrics = Metrics()
    metrics.command("auctions.place_bid", "rpc").done("ok", 0.19)
    metrics.sample()
    shown = samples(metrics.render())
    labels = {"door": "rpc", "name": "auctions.place_bid"}
    edges = {dict(key[1])["le"] for key in shown if key[0] == "mnbara_command_duration_seconds_bucket"}
    assert {"0.005", "0.2", "0.5", "10.0", "+Inf"} <= edges
    for le, value in (("0.1", 0), ("0.2", 1)):
        place = ("mnbara_command_duration_seconds_bucket", tuple(sorted({**labels, "le": le}.items())))
        assert shown[place] == value


def test_counters_of_the_realtime_core_grow_and_gauges_follow():
    metrics = Metrics()
    now = {"connections": 3, "deliveries": 10, "unknown": 1}
    metrics.follow_sockets(lambda: now)
    metrics.sample()
    now |= {"connections": 1, "deliveries": 25, "slow_cuts": 2, "flood_cuts": 3, "refused_full": 4}
    metrics.sample()
    shown = samples(metrics.render())
    assert shown["mnbara_connections", ()] == 1
    assert shown["mnbara_deliveries_total", ()] == 25
    assert shown["mnbara_slow_cuts_total", ()] == 2
    assert shown["mnbara_flood_cuts_total", ()] == 3
    assert shown["mnbara_connections_refused_total", (("reason", "full"),)] == 4
    assert shown["mnbara_connections_refused_total", (("reason", "late"),)] == 0


def test_passwords_show_their_queue_their_times_and_what_was_refused():
    metrics = Metrics()
    hasher = PasswordHasher(memory_kib=64)
    metrics.follow_passwords(hasher)
    hasher.refused = 2
    metrics.sample()
    hasher.observe("check", 0.15, 0.07)
    hasher.refused = 3
    metrics.sample()
    hasher.close()
    shown = samples(metrics.render())
    assert shown["mnbara_passwords_waiting", ()] == 0
    assert shown["mnbara_passwords_refused_total", ()] == 3
    assert shown["mnbara_password_wait_seconds_sum", (("work", "check"),)] == 0.15
    assert shown["mnbara_password_hash_seconds_count", (("work", "check"),)] == 1


def test_a_group_commit_reports_its_size_and_time():
    metrics = Metrics()
    metrics.commit_observer("auctions.place_bid")(120, 0.004)
    shown = samples(metrics.render())
    assert shown["mnbara_commit_batch_size_sum", (("name", "auctions.place_bid"),)] == 120
    assert shown["mnbara_commit_duration_seconds_count", (("name", "auctions.place_bid"),)] == 1


def test_counting_a_command_costs_at_most_a_few_microseconds():
    done = Metrics().command("auctions.place_bid", "rpc").done
    best = min(_seconds_per_call(done) for _ in range(5))
    assert best < 10e-6  # measured 0.4 µs; the rest is room for a busy machine


def _seconds_per_call(done):
    started = time.perf_counter()
    for _ in range(5000):
        done("ok", 0.003)
    return (time.perf_counter() - started) / 5000


PROCESS = textwrap.dedent("""
    import os, sys, time
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
    from pathlib import Path
    from server.process.metrics import Metrics
    metrics = Metrics(Path(sys.argv[1]))
    metrics.follow_sockets(lambda: {"connections": 5, "deliveries": 100})
    done = metrics.command("auctions.place_bid", "rpc").done
    started = time.perf_counter()
    for _ in range(1000):
        done("ok", 0.003)
    metrics.up.labels("redis").set(int(sys.argv[2]))
    metrics.loop_lag.set(0.25)
    metrics.sample()
    print((time.perf_counter() - started) / 1000, flush=True)
    print(metrics.render().decode().replace("\\n", "|"), flush=True)
    sys.stdin.read()
""")


def test_an_idle_process_shows_few_lines_whatever_routes_there_are():
    metrics = Metrics()
    for number in range(200):
        metrics.command(f"domain.route_{number}", "rpc")
        metrics.command(f"domain.route_{number}", "rest")
        metrics.commit_observer(f"domain.route_{number}")
    metrics.sample()
    assert len(metrics.render().splitlines()) < 150


def test_what_a_process_uses_is_shown_under_its_name():
    metrics = Metrics(process="server-1")
    copy_process(metrics)
    shown = samples(metrics.render())
    name = (("process", "server-1"),)
    assert shown["mnbara_process_resident_bytes", name] > 10_000_000
    assert shown["mnbara_process_open_descriptors", name] >= 3
    assert shown["mnbara_process_cpu_seconds_total", name] > 0


SHARING = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from server.process.sharing import share_metrics, shared_folder
    print(share_metrics(Path(sys.argv[1])), "prometheus_client" in sys.modules)
    from server.process.metrics import Metrics
    metrics = Metrics(shared_folder())
    for number in range(400):
        metrics.command(f"domain.route_{number}", "rpc").done("ok", 0.1)
        metrics.http_requests.labels(f"/v1/a/path/of/some/length/{number}", "GET", 200).inc()
    metrics.sample()
    for file in Path(sys.argv[1]).iterdir():
        print(file.name.rpartition("_")[0], file.stat().st_size <= file.stat().st_blocks * 512)
""")


def test_shared_metrics_have_their_disk_before_they_are_written(tmp_path):
    command = [sys.executable, "-c", SHARING, str(tmp_path / "metrics")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert told[0] == "True False"
    assert sorted(told[1:-1]) == [f"{name} True" for name in sorted(FILE_BYTES)]


def test_a_process_without_room_keeps_its_metrics_to_itself(tmp_path, monkeypatch):
    def fail(_descriptor, _offset, _size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", fail)
    assert not share_metrics(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert shared_folder() is None


def test_files_of_processes_long_dead_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.delenv(SHARED_VARIABLE, raising=False)
    gone = [2**22 + number for number in range(DEAD_KEPT + 3)]  # above the largest pid
    for age, pid in enumerate(reversed(gone)):
        for name in FILE_BYTES:
            (tmp_path / f"{name}_{pid}.db").touch()
        os.utime(tmp_path / f"counter_{pid}.db", (age, age))
    assert share_metrics(tmp_path)
    monkeypatch.delenv(SHARED_VARIABLE)
    left = {int(file.stem.rpartition("_")[2]) for file in tmp_path.glob("*.db")}
    assert left == {os.getpid(), *gone[:DEAD_KEPT]}


def test_a_process_reads_where_metrics_are_shared_before_their_library():
    code = "import sys, server.__main__; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_scrape_of_any_process_shows_all_of_them(tmp_path):
    folder = tmp_path / "metrics"

    def start(up):
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(folder), up],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        cost = float(process.stdout.readline())
        return process, cost, samples(process.stdout.readline().replace("|", "\n"))

    first, cost, _ = start("0")
    second, _, shown = start("1")
    try:
        assert cost < 20e-6
        place = (("door", "rpc"), ("name", "auctions.place_bid"), ("outcome", "ok"))
        assert shown["mnbara_commands_total", place] == 2000
        route = (("door", "rpc"), ("name", "auctions.place_bid"))
        assert shown["mnbara_command_duration_seconds_count", route] == 2000
        assert abs(shown["mnbara_command_duration_seconds_sum", route] - 6) < 1e-6
        assert not any("counted" in name or "summed" in name for name, _ in shown)
        assert shown["mnbara_connections", ()] == 10
        assert shown["mnbara_deliveries_total", ()] == 200
        assert shown["mnbara_up", (("engine", "redis"),)] == 1
        lags = [
            shown["mnbara_loop_lag_seconds", (("pid", str(process.pid)), ("process", "server"))]
            for process in (first, second)
        ]
        assert lags == [0.25, 0.25]
        first.kill()
        first.communicate()
        third, _, shown = start("1")
        third.communicate("")
        assert ("mnbara_loop_lag_seconds", (("pid", str(first.pid)), ("process", "server"))) not in shown
        assert shown["mnbara_commands_total", place] == 3000
        assert shown["mnbara_connections", ()] == 10
        assert shown["mnbara_up", (("engine", "redis"),)] == 1
    finally:
        for process in (first, second):
            if process.poll() is None:
                process.communicate("")
