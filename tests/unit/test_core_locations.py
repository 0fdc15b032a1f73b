"""URLs as sent, however odd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.core.locations import host_of, locate, page_of, site_of


@pytest.mark.parametrize(
    ("url", "host", "path", "query"),
    [
        ("", "", "", ""),
        ("https://Shop.Example", "shop.example", "/", ""),
        ("https://shop.example/a/b?x=1&y=2#frag?z", "shop.example", "/a/b", "x=1&y=2"),
        ("https://me:secret@shop.example:8443/a", "shop.example", "/a", ""),
        ("//cdn.example/x", "cdn.example", "/x", ""),
        ("/pricing?x=1", "", "/pricing", "x=1"),
        ("pricing", "", "pricing", ""),
        ("http://[2001:db8::1]:80/a", "2001:db8::1", "/a", ""),
        ("https://shop.example./a", "shop.example", "/a", ""),
        ("https://shop.example?utm_source=a/b", "shop.example", "/", "utm_source=a/b"),
        ("https://shop.example/#/a?b=1", "shop.example", "/", ""),
    ],
)
def test_a_url_is_split_without_its_fragment(url: str, host: str, path: str, query: str) -> None:
    assert locate(url) == (host, path, query)


@given(st.text())
def test_no_text_is_too_odd_to_split(url: str) -> None:
    found = locate(url)
    assert "?" not in found.path
    assert site_of(host_of(url)) == site_of(host_of(url))


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("shop.example", "shop.example"),
        ("www.shop.example", "shop.example"),
        ("a.b.shop.example", "shop.example"),
        ("www.shop.co.uk", "shop.co.uk"),
        ("shop.co.uk", "shop.co.uk"),
        ("www.shop.com.au", "shop.com.au"),
        ("www.shop.de", "shop.de"),
        ("me.github.io", "me.github.io"),
        ("blog.me.github.io", "me.github.io"),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_a_host_belongs_to_its_registrable_name(host: str, site: str) -> None:
    assert site_of(host) == site


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://shop.example/thanks?email=ann@example.com#top", "https://shop.example/thanks"),
        ("HTTPS://Ann:pw@Shop.Example:8443/a/b", "https://shop.example:8443/a/b"),
        ("http://shop.example", "http://shop.example/"),
        ("https://shop.example/u/ann@example.com/orders", "https://shop.example/"),
        ("https://shop.example/u/ann%40example.com", "https://shop.example/"),
        ("https://?a", ""),
        ("ftp://shop.example/a", ""),
        ("/thanks", ""),
        ("", ""),
    ],
)
def test_a_page_is_told_without_what_may_name_its_visitor(url: str, page: str) -> None:
    assert page_of(url) == page
