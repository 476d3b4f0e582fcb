"""The first administrator is made from the command line; an expired token does not stand in the way of a refresh."""

import os
import subprocess
import sys

from tests.support.players import sign_up
from tests.support.system import ROOT, System


def grant(system: System, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MNBARA_")}
    environment["MNBARA_HOME"] = str(system.home)
    return subprocess.run(
        [sys.executable, "-m", "server.cli", "grant", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_a_granted_administrator_can_change_roles(shared_system, shared_http):
    chief, clerk = await sign_up(shared_http, "chief"), await sign_up(shared_http, "clerk")
    path = f"/v1/users/{clerk.user_id}/roles"
    refused = await shared_http.put(path, json={"roles": ["support"]}, headers=chief.headers)
    assert refused.status_code == 403
    told = grant(shared_system, chief.email, "admin")
    assert told.returncode == 0, told.stderr
    body = {"refresh_token": chief.tokens["refresh_token"]}
    refreshed = await shared_http.post("/v1/auth/refresh", json=body, headers=chief.headers)
    assert refreshed.status_code == 200, refreshed.text
    headers = {"Authorization": f"Bearer {refreshed.json()['tokens']['access_token']}"}
    allowed = await shared_http.put(path, json={"roles": ["support"]}, headers=headers)
    assert allowed.status_code == 200, allowed.text
    assert "support" in allowed.json()["roles"]


def test_a_wrong_grant_says_what_is_right(shared_system):
    nobody = grant(shared_system, "nobody@example.test", "admin")
    assert nobody.returncode == 1
    assert "nobody@example.test" in nobody.stderr
    unknown = grant(shared_system, "nobody@example.test", "emperor")
    assert unknown.returncode == 2
    assert "admin, finance, support, user" in unknown.stderr
    assert grant(shared_system).returncode == 2
