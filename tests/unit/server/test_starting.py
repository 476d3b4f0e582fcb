"""The start of a process whose engines or settings are not there: a sentence and an exit code, after a bounded time."""

import os

import pytest

import server.__main__ as entry
from server import lifecycle
from server.local.programs import free_port
from server.process import starting


@pytest.fixture(autouse=True)
def _own_settings(tmp_path, monkeypatch):
    for name in [n for n in os.environ if n.startswith("MNBARA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MNBARA_HOME", str(tmp_path))
    monkeypatch.setenv("MNBARA_POSTGRES_URL", f"postgresql://me:secret@127.0.0.1:{free_port()}/d")
    monkeypatch.setenv("MNBARA_REDIS_URL", f"redis://:secret@127.0.0.1:{free_port()}")
    monkeypatch.setenv("MNBARA_NATS_URL", "nats://127.0.0.1:1")
    monkeypatch.setattr(entry, "configure_logs", lambda _level: None)
    monkeypatch.setattr(entry.faulthandler, "register", lambda _signal: None)  # stderr is captured
    monkeypatch.setattr(starting, "ENGINES_WAIT_S", 1.2)


@pytest.mark.parametrize("kind", ["serve", "worker"])
def test_engines_that_do_not_come_are_a_sentence_that_names_engine_setting_and_remedy(kind, capsys):
    assert entry.main([kind]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("mnbara: PostgreSQL was not ready within ")
    assert told.err.endswith("start it, or set MNBARA_POSTGRES_URL\n")
    assert told.err.count("\n") == 1
    assert told.out.count("engine_not_ready") == 2, "one line for each engine, not for each attempt"
    assert "secret" not in told.err + told.out


def test_an_engine_is_tried_again_until_it_is_there(monkeypatch, capsys):
    attempts = []

    async def probe(url):
        attempts.append(url)
        if len(attempts) < 3:
            raise starting.NotReadyError("not yet")

    async def serve(_settings, _heartbeat_fd, _number):
        attempts.append("process")

    monkeypatch.setattr(starting, "RETRY_S", 0.0)
    monkeypatch.setattr(starting, "ENGINES_WAIT_S", 60.0)
    for name in ("probe_postgres", "probe_redis"):
        monkeypatch.setattr(starting, name, probe)
    monkeypatch.setattr(lifecycle, "serve", serve)
    assert entry.main(["serve"]) == 0
    assert len(attempts) == 5, (
        "two attempts of each failed in vain or not, one more of who failed, the process"
    )
    assert attempts[-1] == "process"


@pytest.mark.parametrize("name", ["POSTGRES", "REDIS", "NATS"])
def test_an_engine_that_was_not_named_is_told_at_once(name, monkeypatch, capsys):
    monkeypatch.setenv(f"MNBARA_{name}_URL", "")
    assert entry.main(["serve"]) == 2
    assert capsys.readouterr().err.startswith(f"mnbara: MNBARA_{name}_URL is not set; `./mnbara up` ")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("POSTGRES", "postgresql://me:secret@[::/d"),
        ("POSTGRES", "postgresql://me:secret@127.0.0.1:port/d"),
        ("REDIS", "redis://:secret@127.0.0.1:port"),
    ],
)
def test_a_url_that_nobody_can_use_is_a_bad_setting(name, url, monkeypatch, capsys):
    monkeypatch.setenv(f"MNBARA_{name}_URL", url)
    assert entry.main(["worker"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"mnbara: MNBARA_{name}_URL must name a host, and a port ")
    assert "secret" not in told.err + told.out


def test_a_setting_of_what_is_not_built_is_told_at_the_start_by_name_alone(monkeypatch, capsys):
    monkeypatch.setenv("MNBARA_ELASTICSEARCH_URL", "sk-secret")
    assert entry.main(["serve"]) == 1
    told = capsys.readouterr().out
    assert told.count("setting_without_effect") == 1
    assert "MNBARA_ELASTICSEARCH_URL" in told
    assert "sk-secret" not in told
