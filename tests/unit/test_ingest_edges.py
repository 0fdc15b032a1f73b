"""The small rules of the edge: inflating, times, visitors, bots, routes."""

import gzip
import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from control.secret import load_secret
from ingest.bots import is_bot
from ingest.inflate import inflate
from ingest.routes import claims
from ingest.timestamps import instant
from ingest.visitor import client_address, fingerprint, visitor_key
from schemas.errors import Reason, Refused

LIMIT = 5 * 1024 * 1024
GIGABYTE = 1024**3


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:])),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("zstd", zstandard.ZstdCompressor().compress),
    ("identity", bytes),
]


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_every_coding_gives_the_body_back(coding: str, compress: Callable[[bytes], bytes]) -> None:
    body = b'{"event_type":"pageview"}' * 1000
    assert inflate(compress(body), coding, LIMIT) == body
    assert inflate(compress(body), coding, len(body)) == body


@pytest.mark.parametrize(("coding", "compress"), CODINGS[:-1])
def test_a_byte_beyond_the_limit_is_too_large(coding: str, compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Refused) as refusal:
        inflate(compress(b"x" * 1001), coding, 1000)
    assert refusal.value.http_status == 413


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("damage", ["garbage", "truncated"])
def test_bytes_that_are_not_what_the_header_says_are_400(coding: str, damage: str) -> None:
    compress = dict(CODINGS)[coding]
    body = b"not compressed" if damage == "garbage" else compress(os.urandom(1000))[:-200]
    if (coding, damage) == ("zstd", "truncated"):
        assert len(inflate(body, coding, LIMIT)) < 1000  # a cut frame: the JSON in it is then not whole
        return
    with pytest.raises(Refused) as refusal:
        inflate(body, coding, LIMIT)
    assert (refusal.value.http_status, refusal.value.reason) == (400, Reason.BAD_ENCODING)


def test_another_coding_is_415() -> None:
    for coding in ("br", "gzip, gzip", "compress"):
        with pytest.raises(Refused) as refusal:
            inflate(b"", coding, LIMIT)
        assert refusal.value.http_status == 415


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_refused_within_bounded_memory(coding: str) -> None:
    if coding == "gzip":
        stream = zlib.compressobj(9, wbits=31)
        block = bytes(1024 * 1024)
        bomb = b"".join(stream.compress(block) for _ in range(GIGABYTE // len(block))) + stream.flush()
    else:
        writer = zstandard.ZstdCompressor(level=19).compressobj(size=GIGABYTE)
        block = bytes(16 * 1024 * 1024)
        bomb = b"".join(writer.compress(block) for _ in range(GIGABYTE // len(block))) + writer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(Refused) as refusal:
            inflate(bomb, coding, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refusal.value.http_status == 413
    assert peak < 20 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-21T12:00:00Z", 1_768_996_800_000),
        ("2026-01-21T12:00:00", 1_768_996_800_000),
        ("2026-01-21T13:00:00.001+01:00", 1_768_996_800_001),
        ("2026-01-21 07:00:00.9999-0500", 1_768_996_800_999),
        ("2026-01-21", 1_768_953_600_000),
        ("1969-12-31T23:59:59.999Z", -1),
        (1_768_996_800, 1_768_996_800_000),
        (1_768_996_800.25, 1_768_996_800_250),
        (1_768_996_800_001, 1_768_996_800_001),
        (0, 0),
    ],
)
def test_a_time_is_read_to_the_millisecond(text: str | float, expected: int) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    "bad", ["", "now", "2026-02-30", "1899-12-31T23:59:59Z", -3e9, 1e15, "9999-12-31T23:59:59-23:00"]
)
def test_what_is_no_time_is_422(bad: str | float) -> None:
    with pytest.raises(Refused) as refusal:
        instant(bad)
    assert (refusal.value.http_status, refusal.value.field) == (422, "timestamp")


def test_the_visitor_is_the_best_name_there_is_and_kinds_never_collide() -> None:
    names = {
        "anonymous_id": "x",
        "user_id": "x",
        "click_id": "x",
        "fingerprint": "x",
        "contact_id": "x",
        "event_id": "x",
    }
    keys = []
    for missing in names:
        keys.append(visitor_key(**names))
        names[missing] = ""
    assert keys == ["a:x", "u:x", "c:x", "f:x", "k:x", "e:x"]


def test_a_fingerprint_depends_on_project_address_agent_and_secret_and_shows_none() -> None:
    base = ("secret", "p", "203.0.113.7", "agent")
    prints = {
        fingerprint(secret.encode(), project, address, agent)
        for secret, project, address, agent in (
            base,
            ("other", *base[1:]),
            (base[0], "q", *base[2:]),
            (*base[:2], "203.0.113.8", "agent"),
            (*base[:3], "agent2"),
        )
    }
    assert len(prints) == 5
    assert all("203" not in mark or len(mark) == 32 for mark in prints)


@pytest.mark.parametrize(
    ("forwarded", "hops", "expected"),
    [
        ("198.51.100.9", 0, "10.0.0.1"),
        ("", 1, "10.0.0.1"),
        ("198.51.100.9", 1, "198.51.100.9"),
        ("6.6.6.6, 198.51.100.9", 1, "198.51.100.9"),
        ("6.6.6.6, 198.51.100.9, 10.0.0.2", 2, "198.51.100.9"),
        ("198.51.100.9", 3, "198.51.100.9"),
        ("unknown", 1, "10.0.0.1"),
        ("2001:DB8::1", 1, "2001:db8::1"),
    ],
)
def test_only_what_our_proxies_wrote_is_believed(forwarded: str, hops: int, expected: str) -> None:
    assert client_address("10.0.0.1", forwarded, hops) == expected


@pytest.mark.parametrize(
    ("agent", "bot"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Mozilla/5.0 (compatible; GPTBot/1.2)", True),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0 Safari/537.36", True),
        ("facebookexternalhit/1.1", True),
        ("curl/8.5.0", True),
        ("", True),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36", False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT_X18) AppleWebKit/537.36 Chrome/99 Mobile Safari/537.36", False),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1", False),
    ],
)
def test_programs_are_told_from_browsers(agent: str, bot: bool) -> None:
    assert is_bot(agent) is bot


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/projects/p/events", True),
        ("OPTIONS", "/v1/projects/p/events", True),
        ("GET", "/v1/projects/p/events", False),
        ("POST", "/v1/projects//events", False),
        ("POST", "/v1/projects/p/events/", False),
        ("GET", "/v1/projects/p/events/e/receipt", False),
        ("POST", "/v1/projects/p/conversions", True),
        ("OPTIONS", "/v1/projects/p/conversions", True),
        ("GET", "/v1/projects/p/conversions", False),
        ("POST", "/v1/projects//conversions", False),
        ("POST", "/v1/projects/p/conversions/c/refunds", True),
        ("POST", "/v1/projects/p/conversions/order/7/refunds", True),
        ("GET", "/v1/projects/p/conversions/c/refunds", False),
        ("POST", "/v1/projects/p/conversions//refunds", False),
        ("POST", "/v1/projects/p/conversions/refunds", False),
        ("POST", "/v1/projects/p/events/c/refunds", False),
        ("POST", "/v1/projects/p/goals", False),
        ("POST", "/api/v1/conversions", True),
        ("GET", "/api/v1/conversions", False),
        ("POST", "/v2/projects/p/events", False),
    ],
)
def test_ingest_takes_its_own_routes_only(method: str, path: str, expected: bool) -> None:
    assert claims(method, path) is expected


def test_a_secret_file_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "fingerprints"
    made = load_secret(path)
    assert load_secret(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["fingerprints"]


def test_a_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fingerprints"
    path.write_bytes(b"short\n")
    with pytest.raises(ValueError, match="16 to 64"):
        load_secret(path)
