"""Rendering: what comes out is upright, small enough, and says nothing but pixels; what is no picture is refused."""

import io

import pytest
from PIL import Image

from handlers.listings.photos.render_photo import EDGES, PIXELS_MAX, RefusedError, render
from tests.support.pictures import BLUE, RED, bomb_png, encode, telling_jpeg, two_halves


def open_files(content: bytes) -> list[Image.Image]:
    _, files = render(content)
    return [Image.open(io.BytesIO(file)) for file in files]


def like(pixel: tuple[int, ...], colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_each_format_becomes_three_jpegs(kind):
    size, files = render(encode(two_halves(3000, 1500), kind))
    assert size == (2048, 1024)
    pictures = [Image.open(io.BytesIO(file)) for file in files]
    assert [(p.format, max(p.size)) for p in pictures] == [("JPEG", edge) for edge in EDGES]
    for picture in pictures:
        assert like(picture.getpixel((picture.width // 4, 5)), RED)
        assert like(picture.getpixel((picture.width * 3 // 4, 5)), BLUE)


def test_small_pictures_are_not_enlarged():
    size, files = render(encode(two_halves(64, 32)))
    assert size == (64, 32)
    assert {Image.open(io.BytesIO(file)).size for file in files} == {(64, 32)}


def test_no_metadata_is_left_in_any_size():
    content = telling_jpeg()
    told = (
        b"SecretCam",
        b"SERIAL-4711",
        b"HOME-ADDRESS",
        b"SECRET-XMP",
        b"Exif",
        b"ICC_PROFILE",
        b"ns.adobe.com",
    )
    assert all(word in content for word in told)
    _, files = render(content)
    for file in files:
        assert [word for word in told if word in file] == []
        picture = Image.open(io.BytesIO(file))
        assert not picture.getexif()
        assert set(picture.info) <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
            "progressive",
            "progression",
        }


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [(1, (64, 32), (2, 16)), (3, (64, 32), (61, 16)), (6, (32, 64), (16, 2)), (8, (32, 64), (16, 61))],
)
def test_pictures_are_turned_upright(orientation, size, red_at):
    full = open_files(telling_jpeg(orientation))[0]
    assert full.size == size
    assert like(full.getpixel(red_at), RED)


def test_transparency_becomes_white():
    picture = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    for kind in ("PNG", "WEBP"):
        assert like(open_files(encode(picture, kind))[0].getpixel((10, 10)), (255, 255, 255))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "YCbCr"])
def test_every_kind_of_pixel_is_read(mode):
    kind = "JPEG" if mode in {"CMYK", "YCbCr"} else "PNG"
    assert open_files(encode(Image.new(mode, (30, 30)), kind))[0].mode == "RGB"


def test_the_same_picture_gives_the_same_bytes():
    assert render(telling_jpeg()) == render(telling_jpeg())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%PDF-1.7",
        b"\xff\xd8\xff",
        encode(two_halves(500, 500))[:700],
        encode(two_halves(500, 500), "PNG")[:200],
        encode(two_halves(), "GIF"),
        encode(two_halves(), "BMP"),
        encode(two_halves(), "TIFF"),
        bomb_png(100, 100)[:-30],
    ],
    ids=["empty", "text", "svg", "pdf", "start", "cut jpeg", "cut png", "gif", "bmp", "tiff", "short png"],
)
def test_what_is_no_whole_picture_of_ours_is_refused(content):
    with pytest.raises(RefusedError, match="unreadable"):
        render(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(50_000, 50_000), (PIXELS_MAX + 1, 1), (13_000, 13_000)])
def test_too_many_pixels_are_refused_before_they_are_read(size):
    with pytest.raises(RefusedError, match="too_large"):
        render(bomb_png(*size))
