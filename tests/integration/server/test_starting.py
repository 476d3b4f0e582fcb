"""The start of a process on real engines: what is wrong is one line and an exit code; what comes late is awaited."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from handlers.settings import Settings, SettingsError
from server.process.starting import await_engines
from storage.platform.migrate import migrate
from tests.support.engines import url_of_database


def start(kind, settings):
    """Run a process to its end; return its exit code and its last line."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("MNBARA_")}
    command = [sys.executable, "-m", "server", kind]
    ended = subprocess.run(
        command, env={**own, **settings}, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr.splitlines()[-1]


@pytest.fixture
def settings(database, redis_url, nats_url, tmp_path):
    return {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": nats_url,
        "MNBARA_HOME": str(tmp_path),
    }


def test_a_bad_file_of_keys_is_a_sentence(settings, tmp_path):
    path = tmp_path / "secrets" / "vault_keys.json"
    path.parent.mkdir()
    path.write_text("{")
    code, line = start("worker", settings)
    assert code == 2
    assert line.startswith(f"mnbara: {path} ")
    assert line.endswith("; MNBARA_SECRETS names the folder")


def test_a_port_that_is_taken_is_a_sentence(settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = start("serve", {**settings, "MNBARA_PORT": str(port)})
    assert code == 2
    assert line == (
        f"mnbara: cannot listen on 127.0.0.1 port {port}: Address already in use; set MNBARA_HOST and MNBARA_PORT"
    )


async def test_a_database_that_is_migrated_later_is_awaited(engines, redis_url, nats_url):
    name = f"mnbara_test_{os.getpid()}_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(engines.postgres_url)
    url = url_of_database(engines.postgres_url, name)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        with capture_logs() as logs:
            waiting = asyncio.create_task(
                await_engines(Settings(postgres_url=url, redis_url=redis_url, nats_url=nats_url))
            )
            while not logs:
                await asyncio.sleep(0.01)
            assert "./mnbara migrate" in logs[0]["error"]
            assert not waiting.done()
            await migrate(url)
            await waiting
    finally:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.close()


async def test_a_redis_that_refuses_our_password_is_told_at_once(database, redis_url, nats_url):
    url = redis_url + ("&" if "?" in redis_url else "?") + "username=nobody&password=secret"
    with pytest.raises(SettingsError, match=r"^MNBARA_REDIS_URL does not open Redis: ") as refused:
        await await_engines(Settings(postgres_url=database, redis_url=url, nats_url=nats_url))
    assert "secret" not in str(refused.value)


async def test_a_postgres_that_does_not_know_us_is_told_at_once(database, redis_url, nats_url):
    role = f"mnbara_test_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(database)
    await connection.execute(f"CREATE ROLE {role} NOLOGIN")
    try:
        url = database.replace(f"//{urlsplit(database).netloc.rpartition('@')[0]}@", f"//{role}@")
        with pytest.raises(SettingsError, match=r"^MNBARA_POSTGRES_URL does not open PostgreSQL: "):
            await await_engines(Settings(postgres_url=url, redis_url=redis_url, nats_url=nats_url))
    finally:
        await connection.execute(f"DROP ROLE {role}")
        await connection.close()
