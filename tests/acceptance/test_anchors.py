"""A whole system anchors its log on a chain, and a stranger follows a movement of money to it."""

import asyncio
import subprocess
import sys
import time
from uuid import UUID

import httpx
import pytest

from server.local.engines import LocalEngines
from tests.support.chains import KEY, Anvil, find_anvil
from tests.support.ledger import wait_for_log
from tests.support.money import give_money
from tests.support.system import ROOT, running_system, scratch_home
from tests.support.waiting import DEADLINE_S

pytestmark = pytest.mark.slow


def mnbara(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server.cli", *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def wait_for(http: httpx.Client, path: str, condition, anvil: Anvil) -> dict:
    """Make blocks until an answer is as a test wants it."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition(answer := http.get(path).json()):
        assert time.monotonic() < deadline, answer
        anvil.mine()
        time.sleep(0.1)
    return answer


def sign_up(http: httpx.Client) -> tuple[UUID, dict[str, str]]:
    person = {"email": "a@example.org", "password": "correct horse 7", "display_name": "Ann"}
    made = http.post("/v1/auth/register", json=person).json()
    return UUID(made["user"]["id"]), {"Authorization": f"Bearer {made['tokens']['access_token']}"}


@pytest.fixture
def anvil():
    find_anvil()
    node = Anvil()
    node.start()
    yield node
    node.stop()


def test_a_movement_of_money_is_followed_to_the_chain(anvil: Anvil, tmp_path):
    key = tmp_path / "chain.key"
    key.write_text(f"{KEY}\n")
    environment = {
        "MNBARA_CHAIN_URL": anvil.url,
        "MNBARA_CHAIN_KEY": str(key),
        "MNBARA_CHAIN_INTERVAL_S": "1",
    }
    anvil.call("evm_setAutomine", True)
    deployed = mnbara(environment, "deploy-anchor")
    assert deployed.returncode == 0, deployed.stderr
    anvil.call("evm_setAutomine", False)
    named = deployed.stdout.partition("MNBARA_CHAIN_CONTRACT=")[2].split()[0]
    assert named.startswith("eip155:31337:0x")
    environment["MNBARA_CHAIN_CONTRACT"] = named

    with scratch_home() as home, running_system(home, environment=environment) as system:
        environment["MNBARA_HOME"] = str(home)
        with httpx.Client(base_url=system.base_url, timeout=20, trust_env=False) as http:
            user_id, bearer = sign_up(http)
            asyncio.run(give_money(LocalEngines(home).postgres_url("mnbara"), user_id))
            size = wait_for_log(http, 2)
            path = f"/v1/ledger/anchors/{size}"
            anchor = wait_for(http, path, lambda told: told["status"] == "anchored", anvil)
            assert f"eip155:{anchor['chain_id']}:{anchor['contract']}" == named

            file = tmp_path / "mine.tlog-proof"
            query = {"tree_size": anchor["anchor_size"]}
            file.write_text(http.get("/v1/ledger/entries/0/proof", params=query, headers=bearer).text)
            checked = mnbara(environment, "verify", str(file), "--chain", anvil.url)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            assert f"The root of {size} entries is in a final block" in checked.stdout

            assert http.get("/health/ready").json()["parts"]["chain"] == "ok"
            deadline = time.monotonic() + DEADLINE_S
            while "mnbara_ledger_anchor_pending_entries 0.0\n" not in http.get("/metrics").text:
                assert time.monotonic() < deadline, [
                    line for line in http.get("/metrics").text.split("\n") if "anchor" in line
                ]
                time.sleep(0.1)
            assert KEY not in system.logs() + http.get("/metrics").text

            anvil.stop()
            asyncio.run(give_money(LocalEngines(home).postgres_url("mnbara"), user_id))
            deadline = time.monotonic() + DEADLINE_S
            while http.get("/health/ready").json()["degraded"] != ["chain"]:
                assert time.monotonic() < deadline, http.get("/health/ready").text
                time.sleep(0.1)
            assert wait_for_log(http, size + 2) == size + 2  # the log goes on
            assert http.get(f"/v1/ledger/anchors/{size + 2}").json()["progress"] == "waiting"
