"""Program: one uploaded picture on standard input, its three sizes as clean JPEGs on standard output.

It runs as a process of its own with limits on memory and processor time, because decoders are where hostile files bite;
it imports nothing of ours. The type is seen by the content. What leaves has no metadata: pixels are turned upright,
brought to sRGB, laid on white, and copied into a new picture.

Output: a line of JSON `{"width", "height", "lengths"}`, then the files one after the other. Exit status 3 and a word
instead: `unreadable` or `too_large`.
"""

import io
import json
import resource
import sys
import warnings

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

PIXELS_MAX = 50_000_000
EDGES = (2048, 800, 320)
QUALITY = 85
MEMORY_BYTES_MAX = 1024 * 1024 * 1024
CPU_S_MAX = 10
REFUSED = 3

_FORMATS = ("JPEG", "PNG", "WEBP")


class RefusedError(Exception):
    """The picture is not taken; the word says why."""


def render(content: bytes) -> tuple[tuple[int, int], list[bytes]]:
    """Return the pixels of the full size, and the files from large to small. Raises RefusedError."""
    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
        if picture.width * picture.height > PIXELS_MAX:
            raise RefusedError("too_large")
        picture.draft("RGB", (EDGES[0], EDGES[0]))  # a JPEG is read at the scale that is needed
        picture.load()
        clean = _clean(picture)
    except Image.DecompressionBombError:
        raise RefusedError("too_large") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError):
        raise RefusedError("unreadable") from None
    files = []
    size = (0, 0)
    for edge in EDGES:
        clean.thumbnail((edge, edge), Image.Resampling.LANCZOS)  # never larger; each from the one before
        size = max(size, clean.size)
        files.append(_encode(clean))
    return size, files


def _clean(picture: Image.Image) -> Image.Image:
    """Return the pixels alone: upright, sRGB, without transparency."""
    profile = picture.info.get("icc_profile")
    upright = ImageOps.exif_transpose(picture)
    if upright.mode not in {"RGB", "RGBA"}:
        has_alpha = upright.mode in {"LA", "PA", "La", "RGBa"} or "transparency" in upright.info
        upright = upright.convert("RGBA" if has_alpha else "RGB")
    if profile and picture.mode in {"RGB", "RGBA"}:
        upright = _to_srgb(upright, profile)
    clean = Image.new("RGB", upright.size, "white")
    clean.paste(upright, mask=upright.getchannel("A") if upright.mode == "RGBA" else None)
    return clean


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Return the picture in sRGB; a profile that cannot be read changes nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        done = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return done or picture


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
