"""The password hasher: real argon2id with small memory."""

import asyncio

import argon2
import pytest

from handlers.auth.passwords import MEMORY_KIB, PasswordHasher
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
