"""The process that makes one variant of one image: bytes in, bytes out, and then it ends.

An image is a program for its decoder, written by a stranger. So it is decoded in a process of its own that has little
memory and time, and no other file: what goes wrong with it goes wrong there.

    python -m shared.media.imaging WIDTH HEIGHT FORMAT < image > "WIDTH HEIGHT\\n" variant

It exits with a status of Outcome.
"""

import io
import resource
import sys
import warnings
from enum import IntEnum

from PIL import Image, ImageOps

READABLE = ("JPEG", "PNG", "GIF", "WEBP")
# Of the original: 4 bytes each, and as much again for what is made of it.
MOST_PIXELS = 40_000_000
MEMORY_BYTES = 1 << 30
CPU_S = 10
QUALITY = 82


class Outcome(IntEnum):
    MADE = 0
    UNREADABLE = 3
    TOO_LARGE = 4


def main() -> int:
    width, height, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 16),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    try:
        made = render(sys.stdin.buffer.read(), width, height, kind)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        return Outcome.TOO_LARGE
    except Exception:  # noqa: BLE001 - whatever a decoder raises, the image is to blame
        return Outcome.UNREADABLE
    sys.stdout.buffer.write(f"{made[0]} {made[1]}\n".encode())
    sys.stdout.buffer.write(made[2])
    return Outcome.MADE


def render(data: bytes, width: int, height: int, kind: str) -> tuple[int, int, bytes]:
    """(width, height, bytes) of the image within the box, encoded anew: nothing but its pixels is taken over."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    with warnings.catch_warnings():
        # Pillow only warns between its limit and twice that.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image: Image.Image = Image.open(io.BytesIO(data), formats=READABLE)
    if kind == "JPEG":
        image.draft("RGB", (width or image.width, height or image.height))
    image.load()
    image = ImageOps.exif_transpose(image)
    image = image.convert("RGBA" if kind != "JPEG" and image.has_transparency_data else "RGB")
    image.thumbnail((width or image.width, height or image.height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    clean = Image.new(image.mode, image.size)
    clean.paste(image)
    out = io.BytesIO()
    clean.save(out, kind, **({} if kind == "PNG" else {"quality": QUALITY}))
    return clean.width, clean.height, out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
