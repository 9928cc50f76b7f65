"""What kind of picture bytes are, and how large it is, without decoding it."""

import struct
from dataclasses import dataclass

_LARGEST = 32 * 1024 * 1024
# A small file can be a picture of any size; a browser takes 4 bytes for each pixel.
_MOST_PIXELS = 64_000_000
# Of JPEG, the segments that say the size; the others in this range are tables.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture made of pixels, which is all that may be shown as a picture."""

    content_type: str
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


def picture_of(head: bytes) -> Picture | None:
    """The picture that begins with `head`; None for anything else.

    SVG is none: it is a document, with scripts and links.
    """
    try:
        kind, (width, height) = _look(head)
    except (struct.error, LookupError):
        return None
    return Picture(content_type=f"image/{kind}", width=width, height=height)


def is_bearable(picture: Picture, size: int) -> bool:
    """Whether a browser can show the picture without harm to itself."""
    return size <= _LARGEST and picture.pixels <= _MOST_PIXELS


def _look(head: bytes) -> tuple[str, tuple[int, int]]:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png", struct.unpack_from(">II", head, 16)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif", struct.unpack_from("<HH", head, 6)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp", _webp_size(head)
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg", _jpeg_size(head)
    raise LookupError("no picture")


def _webp_size(head: bytes) -> tuple[int, int]:
    match head[12:16]:
        case b"VP8X":
            low, high, low_y, high_y = struct.unpack_from("<HBHB", head, 24)
            return (high << 16 | low) + 1, (high_y << 16 | low_y) + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise LookupError("no kind of WebP")


def _jpeg_size(head: bytes) -> tuple[int, int]:
    """Go from segment to segment until one says the size."""
    at = 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", head, at)
        if mark != 0xFF:
            raise LookupError("no segment")
        if kind == 0xFF:  # Padding.
            at += 1
        elif kind in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        else:
            at += 2 + max(length, 2)
