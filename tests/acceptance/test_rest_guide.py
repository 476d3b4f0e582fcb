"""docs/rest.md works as printed: its pieces, joined, are a program that runs on a real system with its limits on."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.system import ROOT, running_system, scratch_home

PRINTED = [
    "signed in as Rest",
    "400 invalid_input /title",
    "same listing: True true",
    "read it at: /v1/listings/[0-9a-f-]{36}",
    "422 key_reused",
    "unchanged: 304",
    "changed: 200",
    "412 stale",
    "my listings: 6",
    r'"user";q=251;w=5 "user";r=\d+;t=\d',
    r"events: \['auction_opened'\]",
    "packed: gzip True",
    "methods: GET, HEAD, POST, OPTIONS",
]


@pytest.fixture(scope="module")
def system(engines, database, redis_url):
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_DRAIN_S": "1",
    }
    with scratch_home() as home, running_system(home, environment=environment) as running:
        yield running


def test_the_pieces_print_what_the_page_says(system, tmp_path):
    pieces = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "rest.md").read_text(), re.DOTALL)
    program = tmp_path / "client.py"
    program.write_text("\n".join(pieces))
    environment = os.environ | {"SERVER_URL": system.base_url, "NO_PROXY": "127.0.0.1"}
    ended = subprocess.run(
        [sys.executable, str(program)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    printed = ended.stdout.splitlines()
    assert len(printed) == len(PRINTED), ended.stdout
    for line, expected in zip(printed, PRINTED, strict=True):
        assert re.fullmatch(expected, line), f"{line!r} is not {expected!r}"
