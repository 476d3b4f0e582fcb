"""Photos: who may change them, what a listing shows, and that no file is lost or left whatever fails in between."""

import asyncio
import signal
import sys
from pathlib import Path
from uuid import UUID

import pytest

from handlers.listings import DOMAIN
from handlers.listings.photos.tools import RENDERING_MAX, WAITING_MAX, PhotoTools
from handlers.listings.photos.upload_photo import HELD_FOR_MS
from protocols.errors import InvalidInput, NotAllowed, TemporarilyUnavailable
from protocols.goods import SIZES, file_name
from protocols.listings.commands import ListingNotActive, ListingNotFound
from protocols.listings.photos import (
    PHOTOS_MAX,
    PhotoFormatUnknown,
    PhotoNotFound,
    PhotoTooDemanding,
    PhotoTooLarge,
    PhotoUnreadable,
    TooManyPhotos,
)
from protocols.values import new_id, now_instant
from server.domains import jobs_of
from server.worker.jobs import Jobs
from storage.engines.objects import Place, open_objects
from storage.platform.jobs_postgres import insert_jobs
from tests.support.domains import timer_handlers
from tests.support.pictures import bomb_png, encode, telling_jpeg, two_halves

TIMERS = timer_handlers(DOMAIN)

ROOT = Path(__file__).parents[3]


async def upload(shop, caller, listing_id, content):
    return await shop.call("upload_photo", caller, listing_id=listing_id, content=content)


def picture(number: int) -> bytes:
    return encode(two_halves(40 + 2 * number, 20))


async def files(shop) -> set[str]:
    """What is in the store, under the names that clients see."""
    rows = await shop.pool.fetch("SELECT files_id, photo_id FROM photo_files")
    shown = {row["files_id"].hex: row["photo_id"].hex for row in rows}
    names = [path.name.partition("-") for path in shop.photos._objects._folder.iterdir()]
    return {f"{shown.get(stem, stem)}-{size}" for stem, _, size in names}


def files_of(listing) -> set[str]:
    return {Path(photo[size]).name for photo in listing["photos"] for size in ("full", "medium", "small")}


def jobs_of_shop(shop) -> Jobs:
    return Jobs(shop.database, shop.pipeline, jobs_of((DOMAIN,)), {PhotoTools: shop.photos})


async def sweep(shop) -> None:
    """Let the clock pass the end of every hold, and run the timers."""
    await shop.pool.execute("UPDATE timers SET due_at_ms = 0 WHERE kind = 'sweep_photos'")
    await shop.pool.execute("UPDATE photo_files SET held_until_ms = 0")
    while await shop.pipeline.run_timers("sweep_photos", TIMERS["sweep_photos"], 500):
        pass
    await shop.pool.execute("UPDATE jobs SET due_at_ms = 0")
    while await jobs_of_shop(shop).turn("listings.delete_files"):
        pass


async def test_photos_are_added_arranged_captioned_and_deleted(shop, seller):
    listing = await shop.create(seller)
    for number in range(3):
        listing = await upload(shop, seller, listing["id"], picture(number))
    assert [(p["width"], p["caption"]) for p in listing["photos"]] == [(40, ""), (42, ""), (44, "")]
    assert listing["version"] == 4
    assert files_of(listing) <= await files(shop)
    ids = [photo["id"] for photo in listing["photos"]]
    order = [ids[2], ids[0], ids[1]]
    arranged = await shop.call("arrange_photos", seller, listing_id=listing["id"], photo_ids=order)
    assert [photo["id"] for photo in arranged["photos"]] == order
    told = await shop.call(
        "caption_photo", seller, listing_id=listing["id"], photo_id=ids[0], caption=" Front\nview "
    )
    assert [photo["caption"] for photo in told["photos"]] == ["", "Front\nview", ""]
    left = await shop.call("delete_photo", seller, listing_id=listing["id"], photo_id=ids[2])
    assert [photo["id"] for photo in left["photos"]] == [ids[0], ids[1]]
    assert await shop.call("get_listing", listing_id=listing["id"]) == left
    found = await shop.search(seller_id=str(seller.id))
    assert found["items"][0]["photo"] == left["photos"][0]
    kinds = [kind for _, kind, _ in await shop.events(listing["id"])]
    assert kinds == ["listing_created", *["photos_changed"] * 6]
    await sweep(shop)
    assert files_of(listing) & await files(shop) == files_of(left)


async def test_the_same_picture_twice_is_one_photo(shop, seller):
    listing = await shop.create(seller)
    first = await upload(shop, seller, listing["id"], telling_jpeg())
    assert await upload(shop, seller, listing["id"], telling_jpeg()) == first
    other = await upload(shop, seller, (await shop.create(seller))["id"], telling_jpeg())
    assert other["photos"][0]["id"] != first["photos"][0]["id"]
    at_once = await shop.create(seller)
    await asyncio.gather(*(upload(shop, seller, at_once["id"], picture(7)) for _ in range(4)))
    assert len((await shop.call("get_listing", listing_id=at_once["id"]))["photos"]) == 1


async def test_only_the_owner_changes_photos_and_only_on_the_market(shop, seller, stranger):
    listing = await upload(shop, seller, (await shop.create(seller))["id"], picture(0))
    photo_id = listing["photos"][0]["id"]
    changes = [
        ("upload_photo", {"content": picture(1)}),
        ("arrange_photos", {"photo_ids": [photo_id]}),
        ("caption_photo", {"photo_id": photo_id, "caption": "x"}),
        ("delete_photo", {"photo_id": photo_id}),
    ]
    before = await shop.snapshot(), await files(shop)
    for verb, fields in changes:
        with pytest.raises(NotAllowed):
            await shop.call(verb, stranger, listing_id=listing["id"], **fields)
        with pytest.raises(ListingNotFound):
            await shop.call(verb, seller, listing_id=str(new_id()), **fields)
    assert (await shop.snapshot(), await files(shop)) == before
    draft = await shop.create(seller, draft=True)
    with pytest.raises(ListingNotFound):
        await upload(shop, stranger, draft["id"], picture(0))
    await upload(shop, seller, draft["id"], picture(0))
    await shop.call("withdraw_listing", seller, listing_id=listing["id"])
    for verb, fields in changes:
        with pytest.raises(ListingNotActive):
            await shop.call(verb, seller, listing_id=listing["id"], **fields)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", PhotoFormatUnknown),
        (picture(0)[:200], PhotoUnreadable),
        (bomb_png(50_000, 50_000), PhotoTooLarge),
    ],
    ids=["empty", "cut", "bomb"],
)
async def test_a_bad_picture_is_refused_and_leaves_nothing(shop, seller, content, why):
    listing = await shop.create(seller)
    before = await shop.snapshot(), await files(shop)
    with pytest.raises(why):
        await upload(shop, seller, listing["id"], content)
    assert (await shop.snapshot(), await files(shop)) == before


async def test_bad_arrangements_and_captions_are_refused(shop, seller):
    listing = await shop.create(seller)
    for number in range(2):
        listing = await upload(shop, seller, listing["id"], picture(number))
    first, second = [photo["id"] for photo in listing["photos"]]
    before = await shop.snapshot()
    for ids in ([], [first], [first, first], [first, second, second], [first, str(new_id())]):
        with pytest.raises(InvalidInput):
            await shop.call("arrange_photos", seller, listing_id=listing["id"], photo_ids=ids)
    with pytest.raises(InvalidInput):
        await shop.call(
            "caption_photo", seller, listing_id=listing["id"], photo_id=first, caption="bell\u0007"
        )
    for verb, fields in (("caption_photo", {"caption": "x"}), ("delete_photo", {})):
        with pytest.raises(PhotoNotFound):
            await shop.call(verb, seller, listing_id=listing["id"], photo_id=str(new_id()), **fields)
    assert await shop.snapshot() == before


async def test_a_listing_has_at_most_so_many_photos(shop, seller):
    listing = await shop.create(seller)
    for number in range(PHOTOS_MAX - 1):
        await upload(shop, seller, listing["id"], picture(number))
    results = await asyncio.gather(
        *(upload(shop, seller, listing["id"], picture(20 + n)) for n in range(3)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["TooManyPhotos", "TooManyPhotos", "dict"]
    with pytest.raises(TooManyPhotos):
        await upload(shop, seller, listing["id"], picture(30))


async def test_a_deleted_draft_takes_its_files_along(shop, seller):
    draft = await upload(shop, seller, (await shop.create(seller, draft=True))["id"], picture(3))
    assert files_of(draft) <= await files(shop)
    await shop.pipeline.run(
        shop.routes["delete_draft"], shop.command("delete_draft", listing_id=draft["id"]), seller
    )
    await sweep(shop)
    assert files_of(draft) & await files(shop) == set()


@pytest.mark.parametrize(
    "step", ["rendering", "noted", "one file", "all files", "in transaction", "committed"]
)
async def test_an_upload_killed_anywhere_leaves_the_photo_or_no_file_and_can_be_repeated(
    shop, seller, database, redis_url, step
):
    listing = await shop.create(seller)
    before = await files(shop)
    folder = str(shop.photos._objects._folder)
    victim = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.listings.upload_victim",
        *(database, redis_url, folder, listing["id"], str(seller.id), step),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
    )
    await asyncio.wait_for(victim.communicate(picture(11)), 30)
    assert victim.returncode == -signal.SIGKILL
    left = await shop.call("get_listing", listing_id=listing["id"])
    assert len(left["photos"]) == (step == "committed")
    new_files = {"rendering": 0, "noted": 0, "one file": 1}.get(step, 3)
    assert len(await files(shop) - before) == new_files
    await sweep(shop)
    assert await files(shop) - before == files_of(left)
    again = await upload(shop, seller, listing["id"], picture(11))
    assert len(again["photos"]) == 1
    await sweep(shop)
    assert await files(shop) - before == files_of(again)


async def test_files_are_not_swept_while_their_upload_is_under_way(shop, seller):
    listing = await shop.create(seller)
    done = await upload(shop, seller, listing["id"], picture(12))
    photo_id = done["photos"][0]["id"]
    await shop.call("delete_photo", seller, listing_id=listing["id"], photo_id=photo_id)
    async with shop.database.transaction() as db:
        stores = shop.pipeline._stores(db)
        await TIMERS["sweep_photos"]([UUID(photo_id)], stores, 0)
    assert files_of(done) <= await files(shop)
    due = await shop.pool.fetch("SELECT due_at_ms FROM timers WHERE ref = $1", UUID(photo_id))
    held = await shop.pool.fetchval(
        "SELECT held_until_ms FROM photo_files WHERE photo_id = $1", UUID(photo_id)
    )
    assert max(row[0] for row in due) == held
    await sweep(shop)
    assert files_of(done) & await files(shop) == set()


async def test_an_upload_that_was_stored_too_slowly_is_refused(shop, seller, monkeypatch):
    listing = await shop.create(seller)
    monkeypatch.setattr("handlers.listings.photos.upload_photo.now_instant", lambda: 1_000)
    with pytest.raises(TemporarilyUnavailable):
        await upload(shop, seller, listing["id"], picture(13))
    assert HELD_FOR_MS > 60_000


async def test_a_renderer_that_hangs_is_killed_and_its_place_is_free(shop, tmp_path):
    tools = PhotoTools(open_objects(Place(folder=tmp_path)), timeout_s=0.01)
    for _ in range(RENDERING_MAX + 1):
        with pytest.raises(TemporarilyUnavailable):
            await tools.render(encode(two_halves(4000, 4000), "PNG"))
    assert tools._taken == 0


async def test_more_pictures_than_may_wait_are_refused_at_once(shop, tmp_path):
    tools = PhotoTools(open_objects(Place(folder=tmp_path)))
    results = await asyncio.gather(
        *(tools.render(picture(1)) for _ in range(RENDERING_MAX + WAITING_MAX + 5)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, TemporarilyUnavailable)]
    assert len(refused) == 5
    assert len(results) - len(refused) == RENDERING_MAX + WAITING_MAX


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", PhotoUnreadable),
        ("os.kill(os.getpid(), signal.SIGXCPU)", PhotoTooDemanding),
        ("print('too_demanding', end=''), sys.exit(3)", PhotoTooDemanding),
    ],
)
async def test_how_a_renderer_ends_tells_what_is_wrong(shop, tmp_path, monkeypatch, end, why):
    program = tmp_path / "die.py"
    program.write_text(f"import os, signal, sys\n{end}\n")
    monkeypatch.setattr("handlers.listings.photos.tools._PROGRAM", str(program))
    with pytest.raises(why):
        await shop.photos.render(picture(1))


class Interrupted(PhotoTools):
    """Tools whose deletion lets the test do something after each file."""

    def __init__(self, objects, between) -> None:
        super().__init__(objects)
        self.between = between

    async def delete(self, files_id):
        for size in SIZES:
            await self.between()
            await self._objects.delete([file_name(files_id, size)])
        await self.between()


@pytest.mark.parametrize("place", range(4))
async def test_an_upload_during_the_deletion_of_the_same_picture_keeps_its_files(shop, seller, place):
    listing = await shop.create(seller)
    done = await upload(shop, seller, listing["id"], picture(14))
    photo_id = UUID(done["photos"][0]["id"])
    await shop.call("delete_photo", seller, listing_id=listing["id"], photo_id=str(photo_id))
    await shop.pool.execute("UPDATE photo_files SET held_until_ms = 0 WHERE photo_id = $1", photo_id)
    async with shop.database.transaction() as db:
        (outcome,) = await TIMERS["sweep_photos"]([photo_id], shop.pipeline._stores(db), now_instant())
        (request,) = outcome.jobs
        await insert_jobs(db, [(request.kind, request.ref)], 0)
    reached: list[object] = []

    async def upload_now() -> None:
        reached.append(None)
        if len(reached) == place + 1:  # no lock is in its way
            await upload(shop, seller, listing["id"], picture(14))

    tools = Interrupted(shop.photos._objects, upload_now)
    jobs = Jobs(shop.database, shop.pipeline, jobs_of((DOMAIN,)), {PhotoTools: tools})
    assert await jobs.turn("listings.delete_files")
    shown = await shop.call("get_listing", listing_id=listing["id"])
    assert [photo["id"] for photo in shown["photos"]] == [str(photo_id)]
    assert files_of(shown) <= await files(shop)
    await shop.photos.delete(request.ref)  # a deletion that was on its way for long
    assert files_of(shown) <= await files(shop)
    await sweep(shop)
    assert files_of(shown) <= await files(shop)


@pytest.mark.parametrize("step", ["leased", "one file", "all files", "in transaction", "committed"])
async def test_a_deletion_killed_anywhere_is_finished_by_another_worker(
    shop, seller, database, redis_url, step
):
    listing = await shop.create(seller)
    before = await files(shop)
    done = await upload(shop, seller, listing["id"], picture(15))
    photo_id = UUID(done["photos"][0]["id"])
    await shop.call("delete_photo", seller, listing_id=listing["id"], photo_id=str(photo_id))
    await shop.pool.execute("UPDATE timers SET due_at_ms = 0 WHERE kind = 'sweep_photos'")
    await shop.pool.execute("UPDATE photo_files SET held_until_ms = 0")
    await shop.pipeline.run_timers("sweep_photos", TIMERS["sweep_photos"], 500)
    victim = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.listings.sweep_victim",
        *(database, redis_url, str(shop.photos._objects._folder), step),
        cwd=ROOT,
    )
    await asyncio.wait_for(victim.wait(), 30)
    assert victim.returncode == -signal.SIGKILL
    left = {"leased": 3, "one file": 2}.get(step, 0)
    assert len(await files(shop) - before) == left
    assert await shop.pool.fetchval("SELECT count(*) FROM jobs") == (step != "committed")
    await sweep(shop)
    assert await files(shop) - before == set()
    assert await shop.pool.fetchval("SELECT count(*) FROM photo_files WHERE photo_id = $1", photo_id) == 0
