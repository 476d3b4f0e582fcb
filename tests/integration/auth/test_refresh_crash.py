"""A server process killed again and again while a client refreshes: the client is never signed out."""

import asyncio
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.auth_system import AuthTestSystem

ROOT = Path(__file__).parents[3]
KILLS = 6
SERVE = """
import asyncio, sys
from pathlib import Path
from protocols.auth.commands import Refresh
from tests.support.auth_system import open_test_system

async def main():
    system = await open_test_system(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    print("ready", flush=True)
    while True:
        token = (await asyncio.to_thread(sys.stdin.readline)).strip()
        reply = await system.run("refresh", Refresh(refresh_token=token))
        print(reply["tokens"]["refresh_token"], flush=True)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_client_of_a_server_that_is_killed_at_any_moment_keeps_its_session(
    system: AuthTestSystem, pool: Any, database: str, redis_url: str, tmp_path: Path
) -> None:
    member = await system.join()
    saved = member.refresh_token
    secrets = system.tools.keys._path.parent
    answered = 0
    for _ in range(KILLS):
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SERVE,
            database,
            redis_url,
            str(secrets),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert await server.stdout.readline() == b"ready\n"
        killing = asyncio.get_running_loop().call_later(
            random.uniform(0.005, 0.15), server.send_signal, signal.SIGKILL
        )
        while True:
            try:
                server.stdin.write(f"{saved}\n".encode())
                await server.stdin.drain()
            except ConnectionError:
                break
            line = (await server.stdout.readline()).decode()
            if not line.endswith("\n"):
                break
            saved, answered = line.strip(), answered + 1
        killing.cancel()
        assert await server.wait() == -signal.SIGKILL, "it refused a refresh instead of being killed"
        # Long after: only the counter decides, not the interval.
        await pool.execute(
            "UPDATE sessions SET rotated_at_ms = rotated_at_ms - 60000 WHERE session_id = $1",
            member.session_id,
        )
    session = await pool.fetchrow("SELECT * FROM sessions WHERE session_id = $1", member.session_id)
    assert session["ended_at_ms"] is None
    # A crash after the commit leaves the client one behind; then the next refresh repeats instead of rotating.
    assert answered > KILLS
    assert session["counter"] - KILLS <= answered <= session["counter"] + KILLS
