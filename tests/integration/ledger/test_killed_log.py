"""The log while its workers are killed: every leaf one place, no gap, every party told once."""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from handlers.ledger import auditing
from protocols.ledger.leaves import read_entry_id
from protocols.topics import personal_channel
from protocols.values import new_id
from tests.integration.ledger.conftest import Log
from tests.integration.ledger.test_auditing import run_pass
from tests.integration.ledger.test_sequencing import assert_signed
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
KILLS = 8


async def start(database, redis_url, log):
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.ledger.log_worker",
        *(database, redis_url, str(log.secrets)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"working\n"
    return worker


@pytest.mark.slow
async def test_workers_that_are_killed_leave_no_gap_and_nothing_twice(
    log: Log, database, redis_url, monkeypatch
):
    payer = new_id()
    workers = [await start(database, redis_url, log) for _ in range(2)]
    moved = []
    try:
        for _ in range(KILLS):
            for _ in range(random.randint(1, 6)):
                moved += await log.move(random.randint(1, 40), payer)
            victim = workers.pop(0)
            victim.kill()
            await victim.wait()
            workers.append(await start(database, redis_url, log))

        async def is_done():
            return await log.pool.fetchval("SELECT next_index FROM ledger_proven") == len(moved)

        await until(is_done, "the proof of every entry")
    finally:
        for worker in workers:
            worker.kill()
            await worker.wait()
    rows = await assert_signed(log)
    assert Counter(read_entry_id(row["leaf"]) for row in rows) == Counter(one.transfer_id for one in moved)
    events = await log.events(personal_channel(payer))
    assert [event["index"] for event in events] == list(range(len(moved)))
    monkeypatch.setattr(auditing, "REST_MS", 0)
    await run_pass(log)  # that of the workers may have begun anywhere
    assert await run_pass(log) == {}
