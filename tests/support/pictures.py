"""Pictures for tests: made here, with the metadata and the tricks that uploads bring."""

import io
import struct
import zlib

from PIL import Image, ImageCms

RED, BLUE = (200, 30, 30), (30, 30, 200)


def two_halves(width: int = 64, height: int = 32) -> Image.Image:
    """Left half red, right half blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


def encode(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The bytes of a picture in a format."""
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def telling_jpeg(orientation: int = 1) -> bytes:
    """A JPEG with GPS position, camera, serial number, XMP, comment, thumbnail and colour profile."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SecretCam"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    exif.get_ifd(0x8769).update({0xA431: "SERIAL-4711"})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encode(
        two_halves(),
        exif=exif,
        icc_profile=profile,
        comment=b"HOME-ADDRESS",
        xmp=b"<x:xmpmeta>SECRET-XMP</x:xmpmeta>",
    )


def bomb_png(width: int, height: int) -> bytes:
    """A small PNG that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
