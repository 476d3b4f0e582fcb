"""The password hasher: real argon2id with small memory."""

import asyncio
import os
import sys
import threading

import argon2
import pytest

from handlers.auth.passwords import MEMORY_KIB, NICENESS, PasswordHasher
from protocols.errors import TemporarilyUnavailable
from tests.support.waiting import until


@pytest.fixture
def hasher():
    made = PasswordHasher(memory_kib=64)
    yield made
    made.close()


async def test_password_fits_its_own_hash_only(hasher: PasswordHasher) -> None:
    kept = await hasher.hash("salt marsh lantern")
    assert kept.startswith("$argon2id$v=19$m=64,t=1,p=2$")
    assert await hasher.check("salt marsh lantern", kept)
    assert not await hasher.check("salt marsh lantern ", kept)
    assert not await hasher.check("Salt marsh lantern", kept)
    assert not await hasher.check("", kept)


async def test_same_password_gets_another_salt(hasher: PasswordHasher) -> None:
    assert await hasher.hash("salt marsh lantern") != await hasher.hash("salt marsh lantern")


async def test_password_is_taken_byte_for_byte(hasher: PasswordHasher) -> None:
    composed, decomposed, with_nul = "caf\u00e9 terrace", "cafe\u0301 terrace", "cafe\0terrace"
    kept = await hasher.hash(with_nul)
    assert await hasher.check(with_nul, kept)
    assert not await hasher.check("cafe", kept)
    assert not await hasher.check(composed, await hasher.hash(decomposed))


async def test_nobody_is_checked_with_the_parameters_of_a_real_hash() -> None:
    hasher = PasswordHasher()
    try:
        real = argon2.extract_parameters(await hasher.hash("salt marsh lantern"))
        nobody = argon2.extract_parameters(hasher._nobody)
        assert real == nobody
        assert real.memory_cost == MEMORY_KIB
        assert real.type is argon2.Type.ID
        assert not await hasher.check("salt marsh lantern", None)
    finally:
        hasher.close()


async def test_too_many_waiting_hashes_are_refused_at_once_and_places_come_back() -> None:
    hasher = PasswordHasher(memory_kib=16 * 1024, threads=1, waiting_max=2)
    try:
        results = await asyncio.gather(*(hasher.hash("x") for _ in range(10)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, TemporarilyUnavailable)]
        assert len(refused) == 7
        assert hasher.refused == 7
        assert all(refusal.facts["retry_after_s"] == 1 for refusal in refused)
        assert all(isinstance(result, str) for result in results if result not in refused)
        await asyncio.sleep(0.01)
        assert await hasher.hash("x")
    finally:
        hasher.close()


async def test_caller_who_hangs_up_gives_the_place_back() -> None:
    hasher = PasswordHasher(memory_kib=16 * 1024, threads=1, waiting_max=1)
    try:
        first, second = (asyncio.create_task(hasher.hash("x")) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        await first
        await asyncio.gather(second, return_exceptions=True)
        await until(lambda: hasher._taken == 0)
    finally:
        hasher.close()


async def test_hashing_leaves_the_event_loop_free() -> None:
    hasher = PasswordHasher()
    try:
        work = asyncio.gather(*(hasher.hash("x") for _ in range(4)))
        ticks = 0
        while not work.done():
            await asyncio.sleep(0.001)
            ticks += 1
        await work
        assert ticks >= 20
    finally:
        hasher.close()


async def test_waiting_is_told_and_a_refusal_says_when_the_queue_is_over() -> None:
    hasher = PasswordHasher(memory_kib=64, threads=1, waiting_max=3)
    told: list[tuple[str, float, float]] = []
    hasher.observe = lambda *fact: told.append(fact)
    hasher._hash_s = 2.0
    try:
        kept = await hasher.hash("x")
        await until(lambda: len(told) == 1)
        hasher._hash_s = 2.0
        work = [asyncio.create_task(hasher.check("x", kept)) for _ in range(4)]
        await asyncio.sleep(0)
        assert hasher.waiting == 3
        with pytest.raises(TemporarilyUnavailable) as refused:
            await hasher.hash("x")
        assert refused.value.facts == {"retry_after_s": 8}
        assert "in 8 s" in refused.value.detail
        assert await asyncio.gather(*work) == [True] * 4
        await until(lambda: len(told) == 5)
        assert hasher.waiting == 0
        assert [kind for kind, _, _ in told] == ["hash"] + ["check"] * 4
        assert told[4][1] > told[1][1] >= 0
        assert all(took_s > 0 for _, _, took_s in told)
        assert hasher._hash_s < 2.0, "the expected time follows the measured one"
    finally:
        hasher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
async def test_hashing_threads_step_back_and_the_event_loop_does_not(hasher: PasswordHasher) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    found = await hasher._run("hash", lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert found == min(before + NICENESS, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
