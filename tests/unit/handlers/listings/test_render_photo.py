"""Rendering: what comes out is upright, small enough, and says nothing but pixels; what is no picture is refused."""

import io
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image, ImageCms

from handlers.listings.photos import render_photo
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
        encode(two_halves(), "GIF"),
        encode(two_halves(), "BMP"),
        encode(two_halves(), "TIFF"),
    ],
    ids=["empty", "text", "svg", "pdf", "gif", "bmp", "tiff"],
)
def test_what_is_no_picture_of_ours_is_refused_as_unknown(content):
    with pytest.raises(RefusedError, match="unknown"):
        render(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff",
        encode(two_halves(500, 500))[:700],
        encode(two_halves(500, 500), "PNG")[:200],
        encode(two_halves(500, 500), "WEBP")[:200],
        bomb_png(100, 100)[:-30],
    ],
    ids=["start", "cut jpeg", "cut png", "cut webp", "short png"],
)
def test_what_is_no_whole_picture_is_refused_as_broken(content):
    with pytest.raises(RefusedError, match="broken"):
        render(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(50_000, 50_000), (PIXELS_MAX + 1, 1), (13_000, 13_000)])
def test_too_many_pixels_are_refused_before_they_are_read(size):
    with pytest.raises(RefusedError, match="too_many_pixels"):
        render(bomb_png(*size))


# -- colours as a good viewer shows them -------------------------------------------------------------------------------

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def raw_png(kind: int, depth: int, pixel: bytes, *chunks: bytes) -> bytes:
    """A PNG of 16 by 16 equal pixels; of fewer than 8 bits, a byte of several pixels again and again."""
    row = b"\0" + (pixel * 16 if depth >= 8 else pixel * (2 * depth))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, depth, kind, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(row * 16))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body + chunk(b"IEND", b"")


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(points: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(point * 100_000) for point in points)))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


WIDE = render_photo._profile_of_png({"gamma": 1 / 1.8, "chromaticity": P3})
ROSE = (200, 100, 120)


def managed(pixel: tuple[int, int, int], profile: bytes = WIDE) -> tuple[int, ...]:
    """What LittleCMS makes of a pixel."""
    made = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), pixel),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
    )
    return made.getpixel((0, 0))


def wide(*samples: int) -> bytes:
    return struct.pack(f">{len(samples)}H", *samples)


ON_WHITE = tuple(round(255 + (sample - 255) * 128 / 255) for sample in managed(ROSE))

COLOURS = {
    "1 bit": (raw_png(GREY, 1, b"\xff"), (255, 255, 255)),
    "4 bits": (raw_png(GREY, 4, b"\x77"), (119, 119, 119)),
    "16 bits": (raw_png(GREY, 16, wide(0x4020)), (64, 64, 64)),
    "16 bits, clear": (raw_png(GREY, 16, wide(0x4020), chunk(b"tRNS", wide(0x4020))), (255, 255, 255)),
    "16 bits, not clear": (raw_png(GREY, 16, wide(0x4020), chunk(b"tRNS", wide(0x4021))), (64, 64, 64)),
    "8 bits, clear": (raw_png(GREY, 8, b"\x40", chunk(b"tRNS", wide(0x40))), (255, 255, 255)),
    "16 bits of colour": (raw_png(COLOUR, 16, wide(0xC8C8, 0x6464, 0x7878)), ROSE),
    "16 bits of colour, clear": (
        raw_png(COLOUR, 16, wide(0xC8C8, 0x6464, 0x7878), chunk(b"tRNS", wide(0xC8C8, 0x6464, 0x7878))),
        (255, 255, 255),
    ),
    "16 bits of grey and alpha": (raw_png(GREY_ALPHA, 16, wide(0x4040, 0xFFFF)), (64, 64, 64)),
    "16 bits of colour and alpha": (raw_png(COLOUR_ALPHA, 16, wide(0, 0, 0, 0x8080)), (127, 127, 127)),
    "palette": (raw_png(PALETTE, 8, b"\1", chunk(b"PLTE", bytes([0, 0, 0, *ROSE]))), ROSE),
    "palette, clear": (
        raw_png(PALETTE, 8, b"\1", chunk(b"PLTE", bytes([0, 0, 0, *ROSE])), chunk(b"tRNS", b"\xff\0")),
        (255, 255, 255),
    ),
    "profile": (raw_png(COLOUR, 8, bytes(ROSE), iccp(WIDE)), managed(ROSE)),
    "profile, 16 bits": (raw_png(COLOUR, 16, wide(0xC8C8, 0x6464, 0x7878), iccp(WIDE)), managed(ROSE)),
    "profile, alpha": (raw_png(COLOUR_ALPHA, 8, bytes([*ROSE, 128]), iccp(WIDE)), ON_WHITE),
    "profile, grey": (raw_png(GREY, 8, b"\x40", iccp(WIDE)), managed((64, 64, 64))),
    "profile, palette": (
        raw_png(PALETTE, 8, b"\1", iccp(WIDE), chunk(b"PLTE", bytes([0, 0, 0, *ROSE]))),
        managed(ROSE),
    ),
    "profile, broken": (raw_png(COLOUR, 8, bytes(ROSE), iccp(b"nothing")), ROSE),
    "linear": (raw_png(GREY, 8, b"\x80", gama(1.0)), (188, 188, 188)),
    "linear, 16 bits": (raw_png(GREY, 16, wide(0x8080), gama(1.0)), (188, 188, 188)),
    "gamma of sRGB": (raw_png(COLOUR, 8, bytes(ROSE), gama(0.45455)), ROSE),
    "sRGB goes before gamma": (raw_png(COLOUR, 8, bytes(ROSE), chunk(b"sRGB", b"\0"), gama(1.0)), ROSE),
    "profile goes before gamma": (raw_png(COLOUR, 8, bytes(ROSE), iccp(WIDE), gama(1.0)), managed(ROSE)),
    # The published matrix from Display P3 to sRGB, over a gamma of 2.2.
    "wide primaries": (raw_png(COLOUR, 8, bytes(ROSE), gama(0.45455), chrm(P3)), (218, 94, 118)),
    "impossible primaries": (raw_png(COLOUR, 8, bytes(ROSE), gama(0.5), chrm((0.0,) * 8)), ROSE),
}


@pytest.mark.parametrize(("content", "colour"), COLOURS.values(), ids=COLOURS)
def test_colours_are_those_that_a_good_viewer_shows(content, colour):
    shown = open_files(content)[0].getpixel((8, 8))
    assert all(abs(a - b) <= 3 for a, b in zip(shown, colour, strict=True)), shown


@pytest.mark.parametrize("profile", [None, WIDE])
def test_inverted_cmyk_of_a_jpeg_is_read(profile):
    picture = Image.new("CMYK", (16, 16), (0, 200, 200, 30))
    content = encode(picture, "JPEG", icc_profile=profile) if profile else encode(picture, "JPEG")
    shown = open_files(content)[0].getpixel((8, 8))
    expected = picture.convert("RGB").getpixel((0, 0))
    assert all(abs(a - b) <= 6 for a, b in zip(shown, expected, strict=True)), shown


# -- the bound that is promised ----------------------------------------------------------------------------------------


def large(kind: str, mode: str, size: tuple[int, int], **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "red" if mode == "RGB" else 0).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "mode", "size", "options"),
    [
        ("WEBP", "RGBA", (7071, 7071), {"lossless": True, "quality": 0, "method": 0}),
        ("WEBP", "RGBA", (16_000, 3_125), {"quality": 10, "method": 0}),
        ("PNG", "RGBA", (7071, 7071), {"compress_level": 1}),
        ("PNG", "I;16", (7071, 7071), {"compress_level": 1}),
        ("PNG", "P", (50_000, 1_000), {"compress_level": 1}),
        ("JPEG", "CMYK", (50_000, 1_000), {"progressive": True, "subsampling": 0}),
        ("JPEG", "RGB", (7071, 7071), {"progressive": True, "subsampling": 0}),
    ],
)
def test_fifty_megapixels_of_every_format_fit_the_memory(kind, mode, size, options):
    content = large(kind, mode, size, **options)
    done = subprocess.run(
        [sys.executable, "-I", render_photo.__file__], input=content, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[:100]
