"""The transparency log of a running system, as tests fill it and ask its witness."""

import time
from typing import Any

import httpx

from tests.support.waiting import DEADLINE_S


def wait_for_log(http: httpx.Client, entries: int = 1) -> int:
    """Return the size of the newest checkpoint once it has so many entries."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        answer = http.get("/v1/ledger/checkpoint")
        size = int(answer.text.split("\n")[1]) if answer.is_success else -1
        if size >= entries:
            return size
        assert time.monotonic() < deadline, f"the log has {size} entries"
        time.sleep(0.02)


def witness_request(http: httpx.Client) -> str:
    """Return a request that has the newest checkpoint of a system cosigned by its own witness."""
    checkpoint = http.get("/v1/ledger/checkpoint").text
    asked = http.post("/v1/ledger/add-checkpoint", content=f"old 0\n\n{checkpoint}")
    new = int(checkpoint.split("\n")[1])
    old = new if asked.is_success else int(asked.text)
    proof: Any = []
    if 0 < old < new:
        proof = http.get("/v1/ledger/consistency", params={"old": old, "new": new}).json()["hashes"]
    return "".join(f"{line}\n" for line in (f"old {old}", *proof, "")) + checkpoint
