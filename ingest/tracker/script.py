"""``GET`` and ``HEAD /oa.js``: the tracker's script, for pages of any site.

1. A browser asks again after an hour, and is answered 304 if it has the script: a fix reaches every page in that time.
2. Any page may load it: CORS for ``crossorigin``, and a resource policy for pages that isolate themselves.
3. Plain and gzip are two representations, each with its own ETag.
"""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from ingest.answers import Headers

FRESH_S: Final = 3600
STALE_S: Final = 86_400
"""So long a browser may use what it has while it asks."""

_HEADERS: Final[Headers] = [
    (b"content-type", b"text/javascript; charset=utf-8"),
    (b"cache-control", b"public, max-age=%d, stale-while-revalidate=%d" % (FRESH_S, STALE_S)),
    (b"vary", b"Accept-Encoding"),
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
]


class Page(msgspec.Struct, frozen=True):
    """An answer with its headers, complete."""

    status: int
    headers: Headers
    body: bytes


class _Representation(msgspec.Struct, frozen=True):
    body: bytes
    etag: bytes
    headers: Headers


def _representation(body: bytes, etag: bytes, *headers: tuple[bytes, bytes]) -> _Representation:
    return _Representation(body, etag, [*_HEADERS, *headers, (b"etag", etag)])


SCRIPT: Final = Path(__file__).with_name("oa.js").read_bytes()
_DIGEST: Final = hashlib.sha256(SCRIPT).hexdigest()[:32].encode()
_PLAIN: Final = _representation(SCRIPT, b'"%b"' % _DIGEST)
_GZIP: Final = _representation(gzip.compress(SCRIPT, mtime=0), b'"%b-gzip"' % _DIGEST, (b"content-encoding", b"gzip"))


def page(method: str, request: Mapping[bytes, bytes]) -> Page:
    """The answer to a GET or HEAD of the script, by its headers."""
    chosen = _GZIP if _takes_gzip(request.get(b"accept-encoding", b"")) else _PLAIN
    known = [tag.strip().removeprefix(b"W/") for tag in request.get(b"if-none-match", b"").split(b",")]
    if chosen.etag in known or b"*" in known:
        return Page(304, chosen.headers, b"")
    length = (b"content-length", str(len(chosen.body)).encode())
    return Page(200, [*chosen.headers, length], b"" if method == "HEAD" else chosen.body)


def _takes_gzip(accepted: bytes) -> bool:
    codings = [coding.replace(b" ", b"").lower() for coding in accepted.split(b",")]
    return any(coding.partition(b";")[0] == b"gzip" and not coding.endswith((b"q=0", b"q=0.0")) for coding in codings)
