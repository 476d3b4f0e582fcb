"""Metrics: what a scrape shows, over one process and over several, and what counting costs."""

import subprocess
import sys
import textwrap
import time

from prometheus_client.parser import text_string_to_metric_families

from server.process.metrics import Metrics


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
