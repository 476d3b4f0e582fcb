"""Program: one uploaded picture on standard input, its three sizes as clean JPEGs on standard output.

It runs as a process of its own with limits on memory and processor time, because decoders are where hostile files bite;
it imports nothing of ours. The type is seen by the content. What leaves has no metadata: pixels are turned upright,
brought to sRGB, laid on white, and copied into a new picture.

Output: a line of JSON `{"width", "height", "lengths"}`, then the files one after the other. Exit status 3 and a word
instead: `unknown`, `broken`, `too_many_pixels` or `too_demanding`.
"""

import io
import json
import resource
import struct
import sys
import warnings
from operator import mul, sub
from typing import Any

from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

PIXELS_MAX = 50_000_000
EDGES = (2048, 800, 320)
QUALITY = 85
MEMORY_BYTES_MAX = 1024 * 1024 * 1024
CPU_S_MAX = 10
REFUSED = 3

STRIP_PIXELS = 1 << 21

_FORMATS = ("JPEG", "PNG", "WEBP")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings each EXIF orientation upright."""

_SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_D50 = [0.9642, 1.0, 0.8249]
_BRADFORD = ([0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296])


class RefusedError(Exception):
    """The picture is not taken; the word says why."""


def render(content: bytes) -> tuple[tuple[int, int], list[bytes]]:
    """Return the pixels of the full size, and the files from large to small. Raises RefusedError."""
    try:
        clean = _read(content)
    except Image.DecompressionBombError:
        raise RefusedError("too_many_pixels") from None
    except MemoryError:
        raise RefusedError("too_demanding") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError):
        raise RefusedError("broken" if _is_of_ours(content) else "unknown") from None
    files = []
    size = (0, 0)
    for edge in EDGES:
        clean.thumbnail((edge, edge), Image.Resampling.LANCZOS)  # never larger; each from the one before
        size = max(size, clean.size)
        files.append(_encode(clean))
    return size, files


def _is_of_ours(content: bytes) -> bool:
    return content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or content[8:12] == b"WEBP"


def _read(content: bytes) -> Image.Image:
    """Return the pixels alone: upright, sRGB, without transparency, little larger than the largest size."""
    picture = Image.open(io.BytesIO(content), formats=_FORMATS)
    if picture.width * picture.height > PIXELS_MAX:
        raise RefusedError("too_many_pixels")
    deep = any("16" in str(tile.args) for tile in picture.tile)
    picture.draft("RGB", (EDGES[0], EDGES[0]))  # a JPEG is read at the scale that is needed
    picture.load()
    small = _upright(_reduce(picture, deep=deep), picture)
    alpha = small.getchannel("A") if small.mode in {"LA", "RGBA"} else None
    colours = small.convert(small.mode.removesuffix("A")) if alpha else small
    clean = Image.new("RGB", small.size, "white")
    clean.paste(_to_srgb(colours, picture.info), mask=alpha)
    return clean


# -- pixels ------------------------------------------------------------------------------------------------------------


def _reduce(picture: Image.Image, *, deep: bool) -> Image.Image:
    """Return the picture in L, LA, RGB, RGBA or CMYK of 8 bits, less than twice the largest edge; strip by strip.

    The picture as it was read fills half the memory, so no second one of its size may be made.
    """
    width, height = picture.size
    times = max(1, max(width, height) // EDGES[0])
    rows = max(1, STRIP_PIXELS // (width * times)) * times
    reduced = None
    for top in range(0, height, rows):
        strip = _plain(picture.crop((0, top, width, min(top + rows, height))), deep=deep)
        strip = strip.reduce(times) if times > 1 else strip
        if reduced is None:
            reduced = Image.new(strip.mode, (strip.width, -(-height // times)))
        reduced.paste(strip, (0, top // times))
    assert reduced is not None
    return reduced


def _plain(strip: Image.Image, *, deep: bool) -> Image.Image:
    """Return pixels of 8 bits with their transparency in a channel."""
    clear = strip.info.get("transparency")
    mode = strip.mode
    if mode.startswith("I"):
        wide = strip.convert("I")
        grey = wide.point([round(value / 257) for value in range(1 << 16)], "L")
        if clear is None:
            return grey
        return Image.merge(
            "LA", (grey, wide.point([255 * (value != clear) for value in range(1 << 16)], "L"))
        )
    if mode == "RGB" and deep and clear is not None:
        strip.info["transparency"] = tuple(value >> 8 for value in clear)
    if mode in {"1", "L"}:
        return strip.convert("L" if clear is None else "LA")
    if mode in {"LA", "RGBA", "CMYK"}:
        return strip
    return strip.convert("RGB" if clear is None and mode not in {"PA", "La", "RGBa"} else "RGBA")


def _upright(small: Image.Image, picture: Image.Image) -> Image.Image:
    """Return the picture as the camera was held; what cannot be read of that changes nothing."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, struct.error):
        turn = None
    return small if turn is None else small.transpose(turn)


# -- colours -----------------------------------------------------------------------------------------------------------


def _to_srgb(colours: Image.Image, info: dict[str | tuple[int, int], Any]) -> Image.Image:
    """Return L, RGB or CMYK in sRGB; a profile that cannot be read changes nothing."""
    profile = info.get("icc_profile") or (colours.mode != "CMYK" and _profile_of_png(info))
    if not profile:
        return colours.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() == "RGB" and colours.mode == "L":
            colours = colours.convert("RGB")
        done = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        done = None
    return done or colours.convert("RGB")


def _profile_of_png(info: dict[str | tuple[int, int], Any]) -> bytes | None:
    """Return an ICC profile of what a PNG says by gAMA and cHRM; None when that is sRGB, nothing, or nonsense."""
    gamma, points = info.get("gamma"), info.get("chromaticity") or _SRGB_POINTS
    if "srgb" in info or not gamma or not 0.1 < gamma < 10:
        return None
    if abs(gamma - 1 / 2.2) < 0.001 and max(map(abs, map(sub, points, _SRGB_POINTS))) < 0.001:
        return None
    try:
        columns = _to_d50(points)
    except ZeroDivisionError:
        return None
    tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    tags[b"wtpt"] = _xyz(_D50)
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, min(round(256 / gamma), 0xFFFF))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, at + len(data), len(tag))
        data += tag
    head = struct.pack(
        ">I4x4s4s4s4s12x4s28x12s",
        at + len(data),
        b"\x02\x10\x00\x00",
        b"mntr",
        b"RGB ",
        b"XYZ ",
        b"acsp",
        _xyz(_D50)[8:],
    )
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _to_d50(points: tuple[float, ...]) -> list[list[float]]:
    """Return red, green and blue in XYZ under D50, from x and y of white and of them. Raises ZeroDivisionError."""
    white, *primaries = (
        [x / y, 1.0, (1 - x - y) / y] for x, y in zip(points[::2], points[1::2], strict=True)
    )
    shares = _solve(primaries, white)
    seen, wanted = ([sum(map(mul, row, light)) for row in _BRADFORD] for light in (white, _D50))
    columns = []
    for share, primary in zip(shares, primaries, strict=True):
        cones = [
            sum(map(mul, row, primary)) * share * to / by
            for row, by, to in zip(_BRADFORD, seen, wanted, strict=True)
        ]
        columns.append(_solve([list(column) for column in zip(*_BRADFORD, strict=True)], cones))
    return columns


def _solve(columns: list[list[float]], total: list[float]) -> list[float]:
    """Return how much of each of three columns makes the total, by Cramer's rule. Raises ZeroDivisionError."""
    whole = _determinant(columns)
    return [_determinant([*columns[:n], total, *columns[n + 1 :]]) / whole for n in range(3)]


def _determinant(columns: list[list[float]]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = columns
    return a * (e * i - f * h) - d * (b * i - c * h) + g * (b * f - c * e)


def _xyz(value: list[float]) -> bytes:
    return (
        b"XYZ "
        + bytes(4)
        + struct.pack(">3i", *(max(-(1 << 31), min(round(v * 65536), (1 << 31) - 1)) for v in value))
    )


def _encode(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return out.getvalue()


def main() -> int:
    """Render standard input within the limits."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    try:
        (width, height), files = render(sys.stdin.buffer.read())
    except RefusedError as refused:
        sys.stdout.write(str(refused))
        return REFUSED
    head = {"width": width, "height": height, "lengths": [len(file) for file in files]}
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + b"".join(files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
