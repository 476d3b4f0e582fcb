"""The official JavaScript SDK, unmodified, against the conformance app: one script per subject, in both formats, on
a socket and on a stream.
"""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from realtime.limits import Limits
from tests.conformance.server import ConformanceApp
from tests.support.realtime_app import served

HERE = Path(__file__).parent
MODULES = HERE.parent / "js" / "node_modules"
SCRIPTS = sorted(path.name for path in HERE.glob("*.mjs") if path.name != "scene.mjs")

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "centrifuge").is_dir(),
    reason="node or the JavaScript SDK is not here (npm ci in tests/js)",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app():
    limits = Limits(tick_s=0.05, expiry_grace_s=1.0)
    async with served(ConformanceApp(limits=limits)) as app:
        yield app


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The scripts where node finds the SDK."""
    folder = tmp_path_factory.mktemp("scripts")
    for path in HERE.glob("*.mjs"):
        shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(MODULES.resolve())
    return folder


def test_there_are_scripts():
    assert len(SCRIPTS) >= 4


@pytest.mark.parametrize(
    ("form", "transport"),
    [
        ("json", "websocket"),
        pytest.param("protobuf", "websocket", marks=pytest.mark.slow),
        pytest.param("json", "http_stream", marks=pytest.mark.slow),
        pytest.param("json", "sse", marks=pytest.mark.slow),
        pytest.param("protobuf", "http_stream", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS)
async def test_javascript_client_finds_what_it_expects(app, folder, script, form, transport):
    program = await asyncio.create_subprocess_exec(
        "node",
        script,
        cwd=folder,
        env={
            **os.environ,
            "BASE": f"http://127.0.0.1:{app.port}",
            "FORMAT": form,
            "TRANSPORT": transport,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(40):
            printed, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert (program.returncode, printed.decode().splitlines()[-1:]) == (0, ["ok"]), printed.decode()
