"""Objects: the same promises of a folder and of a bucket on a real S3 interface."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from protocols.errors import TemporarilyUnavailable
from storage.engines.objects import Objects, Place, open_objects, parse_place

BUCKET = "market"


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def bucket(endpoint: str):
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("NO_PROXY", "127.0.0.1")
        bucket(url).create_bucket(Bucket=BUCKET)
        yield url


@pytest.fixture(params=["folder", "bucket"])
def objects(request, tmp_path, endpoint) -> Objects:
    if request.param == "folder":
        return open_objects(Place(folder=tmp_path / "photos"))
    return open_objects(
        parse_place(f"s3://{BUCKET}/some/prefix?endpoint={endpoint}&region=us-east-1", tmp_path)
    )


async def test_what_was_put_is_read_back_whole(objects):
    content = bytes(range(256)) * 4_000
    await objects.put("a.jpg", content, "image/jpeg")
    assert await objects.get("a.jpg") == content
    await objects.put("a.jpg", content, "image/jpeg")
    assert await objects.get("a.jpg") == content


async def test_what_is_not_there_is_none_and_deleting_it_is_no_error(objects):
    assert await objects.get("never.jpg") is None
    await objects.put("b.jpg", b"b", "image/jpeg")
    await objects.delete(["b.jpg", "never.jpg"])
    await objects.delete(["b.jpg"])
    assert await objects.get("b.jpg") is None


async def test_objects_of_a_bucket_stand_under_its_prefix_with_their_type(endpoint, tmp_path):
    place = parse_place(f"s3://{BUCKET}/p?endpoint={endpoint}&region=us-east-1", tmp_path)
    await open_objects(place).put("c.jpg", b"c", "image/jpeg")
    found = bucket(endpoint).get_object(Bucket=BUCKET, Key="p/c.jpg")
    assert (found["Body"].read(), found["ContentType"]) == (b"c", "image/jpeg")


async def test_a_store_that_is_away_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    away = open_objects(parse_place("s3://market?endpoint=http://127.0.0.1:9&region=us-east-1", tmp_path))
    for call in (away.put("a", b"a", "image/jpeg"), away.get("a"), away.delete(["a"])):
        with pytest.raises(TemporarilyUnavailable):
            await call


async def test_a_folder_is_made_for_its_owner_alone(tmp_path):
    open_objects(Place(folder=tmp_path / "x" / "photos"))
    assert (tmp_path / "x" / "photos").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("", Place(folder=Path("/home/photos"))),
        ("file:///srv/my%20photos", Place(folder=Path("/srv/my photos"))),
        ("s3://bucket", Place(bucket="bucket")),
        (
            "s3://bucket/a/b/?endpoint=https://s3.example:9000&region=eu",
            Place(bucket="bucket", prefix="a/b", endpoint="https://s3.example:9000", region="eu"),
        ),
    ],
)
def test_a_url_says_where_objects_are(url, place):
    assert parse_place(url, Path("/home/photos")) == place


@pytest.mark.parametrize(
    "url",
    [
        "photos",
        "http://host/x",
        "s3://",
        "s3:///x",
        "s3://key:secret@bucket/x",
        "s3://bucket?endpoint=",
        "s3://bucket?endpoint=host:9000",
        "s3://bucket?secret=hunter2",
        "s3://bucket#x",
        "file://host/x",
        "file:relative",
    ],
)
def test_a_bad_url_is_refused_without_being_repeated(url):
    with pytest.raises(ValueError, match=r"must|knows") as refused:
        parse_place(url, Path())
    assert "hunter2" not in str(refused.value)
