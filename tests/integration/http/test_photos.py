"""Photos over HTTP: the first body that is no JSON, and files served with the right headers to the right people."""

import asyncio
import os
import re

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from handlers.settings import Settings
from protocols.listings.photos import PHOTO_BYTES_MAX
from protocols.values import new_id
from server.http.arguments import UPLOADS_MAX, UPLOADS_PER_CALLER_MAX
from server.wiring import open_server
from tests.integration.http.conftest import serving
from tests.support.pictures import encode, telling_jpeg, two_halves

BAG = {"title": "Leather bag", "description": "", "category": "bags", "condition": "used"}
JPEG = {"Content-Type": "image/jpeg"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(database, redis_url, nats_url, tmp_path_factory):
    settings = Settings(
        postgres_url=database,
        redis_url=redis_url,
        nats_url=nats_url,
        home=tmp_path_factory.mktemp("home"),
        rate_limits=False,
    )
    async with (
        open_server(settings) as process,
        serving(process.app) as url,
        httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
    ):
        yield client


async def join(http, name):
    body = {
        "email": f"{name}-{new_id().hex}@example.org",
        "password": "correct horse 7",
        "display_name": name,
    }
    answer = await http.post("/v1/auth/register", json=body)
    return {"Authorization": f"Bearer {answer.json()['tokens']['access_token']}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seller(http):
    return await join(http, "seller")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(http):
    return await join(http, "stranger")


async def create(http, seller, **fields):
    return (await http.post("/v1/listings", json={**BAG, **fields}, headers=seller)).json()["id"]


async def upload(http, who, listing_id, content=None, **headers):
    content = telling_jpeg() if content is None else content
    path = f"/v1/listings/{listing_id}/photos"
    return await http.post(path, content=content, headers={**who, **JPEG, **headers})


async def test_a_photo_is_uploaded_and_served_for_good(http, seller):
    answer = await upload(http, seller, await create(http, seller))
    assert answer.status_code == 201, answer.text
    (photo,) = answer.json()["photos"]
    for size in ("full", "medium", "small"):
        assert re.fullmatch(rf"/v1/photos/[0-9a-f]{{32}}-{size}\.jpg", photo[size])
        served = await http.get(photo[size])
        assert served.status_code == 200
        assert served.content.startswith(b"\xff\xd8\xff")
        assert b"SecretCam" not in served.content
        headers = served.headers
        assert headers["content-type"] == "image/jpeg"
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "cross-origin"
        assert "default-src 'none'" in headers["content-security-policy"]
        again = await http.get(photo[size], headers={"If-None-Match": headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await http.head(photo[size])
        assert (head.status_code, int(head.headers["content-length"])) == (200, len(served.content))


async def test_pages_that_are_no_photos_keep_their_resource_policy(http):
    assert (await http.get("/v1/errors")).headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_photos_of_a_draft_are_for_its_owner_alone(http, seller, stranger):
    listing_id = await create(http, seller, draft=True)
    path = (await upload(http, seller, listing_id)).json()["photos"][0]["full"]
    for who in ({}, stranger):
        assert (await http.get(path, headers=who)).status_code == 404
    own = await http.get(path, headers=seller)
    assert (own.status_code, own.headers["cache-control"]) == (200, "private, no-store")
    await http.post(f"/v1/listings/{listing_id}/publish", headers=seller)
    assert (await http.get(path)).headers["cache-control"].startswith("public")


async def test_a_deleted_photo_is_gone_at_once(http, seller):
    listing_id = await create(http, seller)
    photo = (await upload(http, seller, listing_id)).json()["photos"][0]
    answer = await http.delete(f"/v1/listings/{listing_id}/photos/{photo['id']}", headers=seller)
    assert (answer.status_code, answer.json()["photos"]) == (200, [])
    assert (await http.get(photo["full"])).json()["code"] == "photo_not_found"


@pytest.mark.parametrize(
    "name",
    [
        "x.jpg",
        "0" * 32 + "-full.jpg",
        "0" * 32 + "-huge.jpg",
        "..%2f..%2fetc%2fpasswd",
        "0" * 32 + "-full.jpg%00",
    ],
)
async def test_names_that_are_none_are_not_found(http, name):
    answer = await http.get(f"/v1/photos/{name}")
    assert answer.status_code == 404


async def test_what_may_not_be_uploaded_is_refused(http, seller, stranger):
    listing_id = await create(http, seller)

    async def code(who, content=b"x", **headers):
        answer = await upload(http, who, listing_id, content, **headers)
        return answer.status_code, answer.json()["code"]

    assert await code({}) == (401, "unauthenticated")
    assert await code(stranger) == (403, "not_allowed")
    assert await code(seller) == (422, "photo_format_unknown")
    assert await code(seller, **{"Content-Type": "application/json"}) == (415, "unsupported_media_type")
    assert await code(seller, **{"Content-Type": "image/svg+xml"}) == (415, "unsupported_media_type")
    assert await code(seller, b"x" * (PHOTO_BYTES_MAX + 1)) == (413, "payload_too_large")
    answer = await http.post(
        f"/v1/listings/{listing_id}/photos?caption=x", content=telling_jpeg(), headers={**seller, **JPEG}
    )
    assert answer.status_code == 400
    assert (await http.get(f"/v1/listings/{listing_id}")).json()["photos"] == []


async def test_the_type_is_seen_by_the_content(http, seller):
    answer = await upload(http, seller, await create(http, seller), encode(two_halves(), "WEBP"))
    assert answer.status_code == 201


async def test_a_body_without_length_is_cut_at_the_limit(http, seller):
    listing_id = await create(http, seller)

    async def endless():
        for _ in range(200):
            yield b"x" * 65_536

    answer = await upload(http, seller, listing_id, endless())
    assert answer.status_code == 413


async def test_a_picture_of_the_largest_size_is_taken(http, seller):
    noise = Image.frombytes("RGB", (1860, 1860), os.urandom(1860 * 1860 * 3))
    content = encode(noise, "PNG", compress_level=0)
    assert 0.98 * PHOTO_BYTES_MAX < len(content) <= PHOTO_BYTES_MAX
    answer = await upload(http, seller, await create(http, seller), content)
    assert answer.status_code == 201


async def test_one_account_has_a_few_uploads_at_a_time_and_others_find_room(http, seller, stranger):
    listing_id, other = await create(http, seller), await create(http, stranger)
    begun, end = asyncio.Semaphore(0), asyncio.Event()

    async def held():
        yield b"\xff"
        begun.release()
        await end.wait()

    uploads = [
        asyncio.create_task(upload(http, seller, listing_id, held())) for _ in range(UPLOADS_PER_CALLER_MAX)
    ]
    for _ in uploads:
        await begun.acquire()
    answers = []
    while not answers or answers[-1].status_code != 429:  # once the server has all heads
        answers.append(await upload(http, seller, listing_id, b"\xff"))
    assert answers[-1].json()["code"] == "rate_limited"
    assert answers[-1].headers["retry-after"] == "1"
    assert (await upload(http, stranger, other)).status_code == 201
    end.set()
    assert {answer.status_code for answer in await asyncio.gather(*uploads)} == {422}
    assert (await upload(http, seller, listing_id)).status_code == 201


def test_uploads_in_memory_are_bounded():
    assert UPLOADS_MAX * PHOTO_BYTES_MAX <= 256 * 1024 * 1024
