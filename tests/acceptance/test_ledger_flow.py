"""A running system proves what happened: on the party's connection, over REST, and to the checker of proofs."""

import asyncio
import os
import subprocess
import sys

from tests.support.players import Socket, open_auction, sign_up
from tests.support.system import ROOT
from tests.support.waiting import until


def verify(home, file, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `./mnbara verify` where the system has its keys."""
    command = [sys.executable, "-m", "server.cli", "verify", str(file), *words]
    environment = os.environ | {"MNBARA_HOME": str(home)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


async def test_an_auctions_end_is_proven_to_its_seller(shared_system, shared_http, tmp_path):
    seller, other = await sign_up(shared_http), await sign_up(shared_http)
    socket = Socket(shared_system.websocket_url, seller.tokens["access_token"])
    await socket.client.connect()
    auction = await open_auction(seller)
    ended = await seller.post(f"/v1/auctions/{auction['id']}/cancel", {})
    assert ended.status_code == 200, ended.text
    await until(lambda: any(event["type"] == "proof_ready" for _, event in socket.personal), "the proof")
    await socket.client.disconnect()
    (ready,) = [event for _, event in socket.personal if event["type"] == "proof_ready"]
    assert ready["entry"] == auction["id"]
    path = f"/v1/ledger/entries/{ready['index']}/proof"
    served = await seller.get(path)
    for name, content in (("sent", ready["proof"]), ("served", served.text)):
        file = tmp_path / f"{name}.tlog-proof"
        file.write_text(content)
        told = await asyncio.to_thread(verify, shared_system.home, file)
        assert told.returncode == 0, told.stdout + told.stderr
        assert f"auction {auction['id']}" in told.stdout
        assert "outcome cancelled" in told.stdout
        file.write_text(content.replace("\nindex ", "\nindex 1"))
        assert (await asyncio.to_thread(verify, shared_system.home, file)).returncode == 1
    assert "extra" not in (await other.get(path)).text
