"""Group commit: one transaction at a time, one answer per request, one failing request harms no other."""

import asyncio
from collections.abc import Sequence

import pytest

from protocols.errors import NotAllowed, TemporarilyUnavailable
from server.commands import group_commit
from server.commands.group_commit import GroupCommit


class Ledger:
    """A commit function that records batches and can be told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.poison: set[int] = set()
        self.away = False
        self.release = asyncio.Event()
        self.release.set()

    async def commit(self, batch: Sequence[int]) -> list[int | Exception]:
        await self.release.wait()
        if self.away:
            raise TemporarilyUnavailable
        if self.poison & set(batch):
            raise ValueError("the transaction broke")
        self.batches.append(list(batch))
        return [NotAllowed("odd") if request % 2 else request * 10 for request in batch]


async def started(ledger: Ledger) -> GroupCommit[int, int]:
    group = GroupCommit[int, int](ledger.commit)
    group.start()
    return group


async def test_requests_that_arrive_during_a_commit_form_the_next_one():
    ledger = Ledger()
    ledger.release.clear()
    group = await started(ledger)
    first = group.ask(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [group.ask(n) for n in range(2, 10, 2)]
    ledger.release.set()
    assert await asyncio.gather(first, *rest) == [0, 20, 40, 60, 80]
    assert ledger.batches == [[0], [2, 4, 6, 8]]
    await group.close()


async def test_a_refused_request_is_answered_alone():
    group = await started(Ledger())
    results = await asyncio.gather(*(group.ask(n) for n in range(4)), return_exceptions=True)
    assert results[0] == 0
    assert results[2] == 20
    assert isinstance(results[1], NotAllowed)
    assert isinstance(results[3], NotAllowed)
    await group.close()


async def test_a_request_that_breaks_the_transaction_harms_no_other():
    ledger = Ledger()
    ledger.poison = {4}
    group = await started(ledger)
    results = await asyncio.gather(*(group.ask(n) for n in (2, 4, 6)), return_exceptions=True)
    assert results[0] == 20
    assert isinstance(results[1], ValueError)
    assert results[2] == 60
    assert ledger.batches == [[2], [6]]
    await group.close()


async def test_an_outage_is_answered_to_all_at_once_and_the_group_recovers():
    ledger = Ledger()
    ledger.away = True
    group = await started(ledger)
    results = await asyncio.gather(*(group.ask(n) for n in (2, 4)), return_exceptions=True)
    assert all(isinstance(result, TemporarilyUnavailable) for result in results)
    ledger.away = False
    assert await group.ask(2) == 20
    await group.close()


async def test_an_abandoned_request_does_not_disturb_its_batch():
    ledger = Ledger()
    ledger.release.clear()
    group = await started(ledger)
    abandoned, kept = group.ask(2), group.ask(4)
    abandoned.cancel()
    ledger.release.set()
    assert await kept == 40
    await group.close()


async def test_a_full_queue_refuses_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(group_commit, "QUEUE_MAX", 3)
    ledger = Ledger()
    ledger.release.clear()
    group = await started(ledger)
    waiting = [group.ask(n) for n in (0, 2, 4)]
    with pytest.raises(TemporarilyUnavailable):
        group.ask(6)
    ledger.release.set()
    assert await asyncio.gather(*waiting) == [0, 20, 40]
    await group.close()


async def test_close_finishes_what_was_submitted():
    ledger = Ledger()
    group = await started(ledger)
    waiting = [group.ask(n) for n in range(0, 2000, 2)]
    await group.close()
    assert [future.result() for future in waiting] == [n * 10 for n in range(0, 2000, 2)]
    assert max(len(batch) for batch in ledger.batches) <= group_commit.BATCH_MAX


async def test_an_outage_is_answered_to_those_who_wait_behind_it_too():
    ledger = Ledger()
    ledger.release.clear()
    group = await started(ledger)
    first = group.ask(2)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    behind = group.ask(4)
    ledger.away = True
    ledger.release.set()
    results = await asyncio.gather(first, behind, return_exceptions=True)
    assert all(isinstance(result, TemporarilyUnavailable) for result in results)
    assert ledger.batches == []
    await group.close()
