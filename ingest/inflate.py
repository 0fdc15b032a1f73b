"""Compressed bodies: inflated in steps, and never further than the limit.

A kilobyte can inflate to a gigabyte, so the limit is checked while inflating: memory stays within limit + one step.
"""

import io
import zlib
from typing import Final

import zstandard

from schemas.errors import Reason, Refused

STEP: Final = 64 * 1024
ZSTD_WINDOW_MAX: Final = 8 * 1024 * 1024
"""What RFC 8878 asks every decoder to support; a larger window is refused, since the window is memory."""
CODINGS: Final = ("gzip", "deflate", "zstd")

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """The body behind ``Content-Encoding: coding``, at most ``limit`` bytes.

    Raises :class:`Refused`: ``unsupported_media_type`` for another coding, ``bad_encoding`` for bytes that are not
    what the header says, ``too_large`` beyond the limit.
    """
    match coding:
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gzip(body, limit)
        case "deflate":
            plain, _ = _zlib(body, limit, zlib.MAX_WBITS if _has_zlib_header(body) else -zlib.MAX_WBITS)
            return plain
        case "zstd":
            return _zstd(body, limit)
    message = f"Content-Encoding must be one of {', '.join(CODINGS)}"
    raise Refused(Reason.UNSUPPORTED_MEDIA_TYPE, message, field="Content-Encoding")


def _gzip(body: bytes, limit: int) -> bytes:
    """Every member of a gzip stream, one after the other (RFC 1952, section 2.2)."""
    plain, rest = _zlib(body, limit, _GZIP_WBITS)
    while rest.startswith(_GZIP_MAGIC):
        member, rest = _zlib(rest, limit - len(plain), _GZIP_WBITS)
        plain += member
    return plain


def _zlib(body: bytes, limit: int, wbits: int) -> tuple[bytes, bytes]:
    """One zlib stream and what follows it. zlib stops by itself at ``limit + 1`` bytes."""
    stream = zlib.decompressobj(wbits)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error:
        raise _broken() from None
    if len(plain) > limit:
        raise too_large(limit)
    if not stream.eof:
        raise _broken()
    return plain, stream.unused_data


def _has_zlib_header(body: bytes) -> bool:
    """``deflate`` means zlib (RFC 9110), but some clients send the raw stream."""
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _zstd(body: bytes, limit: int) -> bytes:
    plain = bytearray()
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX)
    try:
        with decompressor.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
            while step := reader.read(STEP):
                plain += step
                if len(plain) > limit:
                    raise too_large(limit)
    except zstandard.ZstdError:
        raise _broken() from None
    return bytes(plain)


def too_large(limit: int) -> Refused:
    """The refusal of a body beyond ``limit`` bytes, inflated or not."""
    return Refused(Reason.TOO_LARGE, f"the body exceeds {limit} bytes; split the batch")


def _broken() -> Refused:
    return Refused(Reason.BAD_ENCODING, "the body is not what Content-Encoding says", field="Content-Encoding")
