"""How ``/oa.js`` is served."""

import gzip

import httpx
import pytest

from ingest.routes import claims
from ingest.tracker.script import SCRIPT, page
from tests.browser.conftest import Visit


def header(headers: list[tuple[bytes, bytes]], name: str) -> bytes:
    return dict(headers).get(name.encode(), b"")


def test_ingest_takes_the_script_on_a_shared_port() -> None:
    assert claims("GET", "/oa.js")
    assert claims("HEAD", "/oa.js")
    assert not claims("GET", "/oa.js/")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [(b"gzip, deflate, br", b"gzip"), (b"br;q=1.0, GZIP;q=0.5", b"gzip"), (b"gzip;q=0", b""), (b"br", b""), (b"", b"")],
)
def test_it_is_zipped_for_who_takes_that(accepted: bytes, coding: bytes) -> None:
    served = page("GET", {b"accept-encoding": accepted})
    assert (served.status, header(served.headers, "content-encoding")) == (200, coding)
    assert (gzip.decompress(served.body) if coding else served.body) == SCRIPT
    assert header(served.headers, "content-length") == str(len(served.body)).encode()
    assert header(served.headers, "vary") == b"Accept-Encoding"


@pytest.mark.parametrize("accepted", [b"gzip", b""])
def test_who_has_it_is_told_so(accepted: bytes) -> None:
    etag = header(page("GET", {b"accept-encoding": accepted}).headers, "etag")
    for known in (etag, b"W/" + etag, b'"another", ' + etag, b"*"):
        again = page("GET", {b"accept-encoding": accepted, b"if-none-match": known})
        assert (again.status, again.body, header(again.headers, "etag")) == (304, b"", etag)
    assert page("GET", {b"accept-encoding": accepted, b"if-none-match": b'"another"'}).status == 200


def test_plain_and_zipped_are_told_apart() -> None:
    etags = {header(page("GET", {b"accept-encoding": accepted}).headers, "etag") for accepted in (b"gzip", b"")}
    assert len(etags) == 2


def test_head_is_get_without_the_body() -> None:
    get, head = page("GET", {}), page("HEAD", {})
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")


def test_an_installation_serves_it_to_any_site_for_an_hour(visit: Visit) -> None:
    url = visit.project.stack.url + "/oa.js"
    answer = httpx.get(url)
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "max-age=3600" in answer.headers["Cache-Control"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert httpx.get(url, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    head = httpx.head(url)
    assert (head.status_code, head.headers["Content-Length"]) == (200, answer.headers["Content-Length"])
    assert (httpx.put(url).status_code, httpx.put(url).headers["Allow"]) == (405, "GET, HEAD")
    # A browser in a page that isolates itself takes it, too.
    visit.site.headers["Cross-Origin-Embedder-Policy"] = "require-corp"
    visit.open()
    assert visit.run("return oa.loaded")
