"""Private engines: they start, come back with their data, die with their parent, share nothing."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from server.local.engines import EngineError, LocalEngines
from server.local.home import Home
from server.local.programs import can_enter
from tests.support.system import ROOT

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")

PARENT = """
import sys, time
from pathlib import Path
from server.local.engines import LocalEngines
engines = LocalEngines(Path(sys.argv[1]), fsync=False)
engines.start()
print(*(child.pid for child in engines.children.values()), flush=True)
time.sleep(60)
"""


@pytest.fixture
def open_folder():
    """A folder that every user may enter and read."""
    folder = Path(tempfile.mkdtemp(prefix="mnbara-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_logs_are_their_owners_and_quote_no_values_of_people(home):
    (home / "logs").mkdir(mode=0o755)
    engines = LocalEngines(home, names=("postgres",), fsync=False)
    connection = await asyncpg.connect(engines.start().postgres_url)
    try:
        await connection.execute("CREATE TABLE keys (key text PRIMARY KEY, n int CHECK (n > 0))")
        await connection.execute("INSERT INTO keys VALUES ($1, 1)", "secret-key")
        for statement, values in (
            ("INSERT INTO keys VALUES ($1, 1)", ("secret-key",)),
            ("INSERT INTO keys VALUES ($1, 0)", ("secret-key-2",)),
            ("DO $$ BEGIN RAISE EXCEPTION 'of a block' USING DETAIL = 'secret-key-3'; END $$", ()),
            ("INSERT INTO keys VALUES ('secret-key', 1)", ()),
        ):
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(statement, *values)
    finally:
        await connection.close()
        engines.stop()
    log = home / "logs" / "postgres.log"
    text = log.read_text()
    assert "duplicate key value violates unique constraint" in text
    assert "secret-key" not in text
    assert (home / "logs").stat().st_mode & 0o777 == 0o700


async def test_data_survive_a_stop_and_a_start(home):
    engines = LocalEngines(home, fsync=False)
    urls = engines.start()
    connection = await asyncpg.connect(urls.postgres_url)
    await connection.execute("CREATE TABLE kept AS SELECT 41 AS n")
    await connection.close()
    client = redis.asyncio.Redis.from_url(urls.redis_url)
    await client.set("kept", "42")
    await client.aclose()
    engines.stop()

    again = LocalEngines(home, fsync=False)
    urls = again.start()
    try:
        connection = await asyncpg.connect(urls.postgres_url)
        assert await connection.fetchval("SELECT n FROM kept") == 41
        await connection.close()
        client = redis.asyncio.Redis.from_url(urls.redis_url)
        assert await client.get("kept") == b"42"
        await client.aclose()
    finally:
        again.stop()


async def test_engine_started_again_keeps_its_address(home):
    engines = LocalEngines(home, names=("redis", "nats"), fsync=False)
    urls = engines.start()
    try:
        for name in ("redis", "nats"):
            engines.children[name].kill()
            engines.children[name].wait()
            engines.spawn(name)
            engines._await(name)
        assert engines.urls() == urls
        assert urls.postgres_url == ""
        client = redis.asyncio.Redis.from_url(urls.redis_url)
        assert await client.ping()
        await client.aclose()
    finally:
        engines.stop()


def test_nats_refuses_a_stranger_without_the_password(home):
    engines = LocalEngines(home, names=("nats",))
    engines.start()
    try:
        with socket.create_connection(("127.0.0.1", engines.nats_port), 5) as stranger:
            stranger.sendall(b"CONNECT {}\r\nPING\r\n")
            told = b""
            while part := stranger.recv(4096):
                told += part
        assert b"-ERR 'Authorization Violation'" in told
        assert b"PONG" not in told
    finally:
        engines.stop()


@pytest.mark.slow
def test_engines_die_with_a_killed_parent_and_the_next_start_works(home):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(home)], cwd=ROOT, stdout=subprocess.PIPE)
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 3
    parent.kill()
    parent.wait()
    parent.stdout.close()
    engines = LocalEngines(home, fsync=False)
    engines.start()  # waits for the lock that the dying engines hold
    assert not any(is_alive(pid) for pid in pids)
    engines.stop()


def test_second_start_on_the_same_data_is_refused_while_the_first_runs(home, monkeypatch):
    monkeypatch.setattr("server.local.engines.STOP_TIMEOUT_S", 0.2)
    first = LocalEngines(home, names=("redis",))
    first.start()
    try:
        with pytest.raises(EngineError, match="other processes use the engines"):
            LocalEngines(home, names=("redis",)).start()
        assert first.children["redis"].poll() is None
    finally:
        first.stop()


@pytest.mark.slow
def test_interrupted_creation_of_the_data_folder_is_repeated(home):
    (home / "engines" / "postgres.new").mkdir(parents=True)
    (home / "engines" / "postgres.new" / "PG_VERSION").write_text("15\n")
    engines = LocalEngines(home, names=("postgres",), fsync=False)
    engines.start()
    engines.stop()
    assert (home / "engines" / "postgres" / "PG_VERSION").exists()
    assert not (home / "engines" / "postgres.new").exists()


def test_engine_that_cannot_start_says_why(home):
    engines = LocalEngines(home, names=("postgres",), fsync=False)
    engines.start()
    engines.stop()
    (engines.data / "postgres" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EngineError, match=r"postgres ended at start.*9\.6"):
        LocalEngines(home, names=("postgres",)).start()


@pytest.mark.slow
@is_root
def test_home_closed_to_user_postgres_keeps_its_data_elsewhere_and_wipes_them(tmp_path, monkeypatch):
    elsewhere = Path(f"/var/lib/mnbara-test-{os.getpid()}")
    monkeypatch.setattr("server.local.engines.DATA_OF_ROOT", elsewhere)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not can_enter("postgres", closed)
    engines = LocalEngines(closed / ".local", fsync=False)
    try:
        engines.start()
        assert (closed / ".local" / "engines").is_symlink()
        assert (engines.data / "postgres").owner() == "postgres"
        engines.stop()
        engines.start()
        engines.stop()
        Home(closed / ".local").wipe()
        assert list(elsewhere.iterdir()) == []
    finally:
        engines.stop()
        shutil.rmtree(elsewhere)


@is_root
def test_ordinary_user_runs_engines_of_their_own(open_folder):
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python that another user may run")
    for package in ("server", "handlers", "storage", "protocols"):  # the clone may be where only root looks
        shutil.copytree(ROOT / package, open_folder / package)
    user = pwd.getpwnam("nobody")
    home = open_folder / "home"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    script = PARENT.replace("fsync=False", 'fsync=False, names=("postgres", "redis")')
    told = subprocess.run(
        [python, "-B", "-c", script.replace("time.sleep(60)", "engines.stop()"), str(home)],
        cwd=open_folder,
        user="nobody",
        group=user.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert (home / "engines" / "postgres").owner() == "nobody"


@pytest.mark.slow
def test_engines_get_their_signal_even_when_the_parent_cannot_send_it(home):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(home)], cwd=ROOT, stdout=subprocess.PIPE)
    pids = [int(word) for word in parent.stdout.readline().split()]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 15
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in pids)


@pytest.mark.slow
def test_two_starts_on_one_home_take_turns(home):
    script = PARENT.replace("time.sleep(60)", "engines.stop()")
    runs = [
        subprocess.Popen([sys.executable, "-c", script, str(home)], cwd=ROOT, stdout=subprocess.DEVNULL)
        for _ in range(3)
    ]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
