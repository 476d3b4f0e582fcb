"""How soon what happened is proven: from the answer to a command to the proof of its entry in the transparency log.

Sellers cancel auctions, fifty a second, each of which is a leaf; the clock runs from the answer, which is sent after
the commit, to `proof_ready` on the seller's connection. Every proof names another entry; some are checked offline, with
the file that strangers are given. The auditor's speed is what the system shows of it.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
from msgspec import Struct

from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import BenchmarkError, System
from load.benchmarks.report import Figure
from load.client import Publication, Socket, open_sockets
from load.latencies import Latencies
from load.market import open_auctions
from load.waiting import wait_until
from server.cli import verify_ledger

AUCTIONS = 1_500
SELLERS = 8
PER_S = 50
WAIT_S = 30.0
CHECKED_EVERY = 50
AUDIT_WAIT_S = 60.0
_SPEED = re.compile(r"^mnbara_ledger_audit_leaves_per_second (\S+)$", re.MULTILINE)
_WRONG = re.compile(r"^mnbara_ledger_audit_differences\{.*\} (\S+)$", re.MULTILINE)


class _Event(Struct):
    type: str
    entry: str = ""
    index: int = -1
    proof: str = ""


_events = msgspec.json.Decoder(_Event)


async def measure(system: System) -> list[Figure]:
    """Measure how soon proofs come, and how fast the auditor is."""
    proofs: dict[str, tuple[float, _Event]] = {}

    def note(_socket: Socket, _channel: str, publication: Publication) -> None:
        event = _events.decode(publication.data)
        if event.type == "proof_ready":
            proofs[event.entry] = time.monotonic(), event

    accounts = await system.accounts(SELLERS)
    sockets = await open_sockets(system.websocket_url, [account.token for account in accounts], note)
    try:
        ids = await open_auctions(sockets, [time.time() + 3_600] * AUCTIONS)
        meter = CpuMeter(system.groups())
        answered = await _cancel(sockets, ids)
        if not await wait_until(lambda: proofs.keys() >= set(ids), WAIT_S):
            raise BenchmarkError(f"{len(set(ids) - proofs.keys())} proofs did not come in {WAIT_S:.0f} s")
        used_s = meter.used_s()
    finally:
        for socket in sockets:
            socket.close()
    waits = Latencies(proofs[auction_id][0] - at for auction_id, at in answered.items())
    await _check(system, [proofs[auction_id][1] for auction_id in ids])
    return [
        Figure(
            benchmark="ledger",
            what=f"p95 from an answer to its proof, {PER_S} leaves/s",
            value=waits.ms(0.95),
            unit="ms",
            target=2_000,
            notes={
                "wait": waits.in_words(),
                "worst ms": waits.ms(1.0),
                **{f"CPU ms per leaf {name}": used * 1000 / AUCTIONS for name, used in used_s.items()},
            },
        ),
        Figure(
            benchmark="ledger",
            what="leaves the auditor checks while it is at work",
            value=await _read_speed(system),
            unit="/s",
        ),
    ]


async def _cancel(sockets: Sequence[Socket], ids: Sequence[str]) -> dict[str, float]:
    """Cancel auctions on time, whether or not earlier ones were answered; return when each was answered."""
    answered: dict[str, float] = {}

    async def cancel(number: int, auction_id: str) -> None:
        await sockets[number % len(sockets)].rpc("auctions.cancel_auction", {"auction_id": auction_id})
        answered[auction_id] = time.monotonic()

    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, auction_id in enumerate(ids):
            await asyncio.sleep(started + number / PER_S - time.monotonic())
            group.create_task(cancel(number, auction_id))
    return answered


async def _check(system: System, events: Sequence[_Event]) -> None:
    """Check that entries are different ones, and some proofs as a stranger would. Raises BenchmarkError."""
    if len({event.index for event in events}) != len(events):
        raise BenchmarkError("two proofs are of one entry")
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        vkey = (await http.get("/v1/ledger/key")).raise_for_status().json()["vkey"]
    with tempfile.TemporaryDirectory() as folder:
        for event in events[::CHECKED_EVERY]:
            file = Path(folder) / "p.tlog-proof"
            file.write_text(event.proof)
            status, told = verify_ledger.verify(str(file), vkey, None)
            if status != verify_ledger.RIGHT:
                raise BenchmarkError(f"the proof of entry {event.index} is wrong: {told}")


async def _read_speed(system: System) -> float:
    """Return what the auditor shows of its speed, once it has checked something. Raises BenchmarkError."""
    deadline = time.monotonic() + AUDIT_WAIT_S
    async with httpx.AsyncClient(base_url=system.base_url, trust_env=False) as http:
        while time.monotonic() < deadline:
            text = (await http.get("/metrics")).raise_for_status().text
            if any(float(found) for found in _WRONG.findall(text)):
                raise BenchmarkError("the auditor found a difference")
            speed = _SPEED.search(text)
            if speed is not None and float(speed[1]):
                return float(speed[1])
            await asyncio.sleep(0.5)
    raise BenchmarkError("the auditor has shown nothing")
