"""Click ids, the limit of requests, and where a link leads."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.bots import is_bot, is_crawler
from ingest.click_ids import BITS, BLOCK_BITS, ClickIds
from ingest.links import GIF
from ingest.rate_limit import WINDOW_S, RateLimit
from ingest.redirects import destination, is_prefetch
from ingest.routes import claims
from schemas.control import Link
from schemas.settings import IngestSettings


def link(to: str, **utm: str) -> Link:
    return Link(id="1", project_id="p", slug="s", destination=to, **utm)


def test_two_blocks_of_click_ids_never_share_an_id_and_all_are_json_integers() -> None:
    draws = iter([0, 2 ** (BITS - BLOCK_BITS) - 1, 12345])
    ids = ClickIds(lambda bits: next(draws))
    found = [ids.new() for _ in range(3 * 2**BLOCK_BITS - 1)]  # zero is left out
    assert len(set(found)) == len(found)
    assert all(0 < one < 2**53 for one in found)


def test_click_ids_do_not_show_how_many_there_were() -> None:
    ids = ClickIds()
    first, second = ids.new(), ids.new()
    assert abs(first - second) > 2**40


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 5))
def test_no_window_of_a_minute_ever_holds_more_than_the_limit(gaps: list[float], limit: int) -> None:
    rate, now, allowed = RateLimit(limit), 0.0, []
    for gap in gaps:
        now += gap
        verdict = rate.take("token", now)
        recent = [at for at in allowed if at > now - WINDOW_S]
        assert verdict.allowed == (len(recent) < limit)
        if verdict.allowed:
            allowed.append(now)
        assert verdict.remaining == limit - len([at for at in allowed if at > now - WINDOW_S])
        assert not verdict.allowed or verdict.remaining >= 0


def test_a_token_may_make_a_thousand_requests_a_minute_unless_told_otherwise() -> None:
    limit = RateLimit(IngestSettings().token_requests_per_minute)
    assert [limit.take("token", 0.0).allowed for _ in range(1001)] == [True] * 1000 + [False]


def test_after_the_time_that_a_refusal_names_a_request_is_allowed_again() -> None:
    rate = RateLimit(1)
    assert rate.take("token", 0.0).allowed
    refused = rate.take("token", 10.5)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert rate.take("other", 10.5).allowed
    assert rate.take("token", 10.5 + refused.reset_s).allowed


@pytest.mark.parametrize(
    ("to", "query"),
    [
        ("https://a.example", {"click_id": ["7"]}),
        ("https://a.example/?click_id=old&x=", {"x": [""], "click_id": ["7"]}),
        ("https://a.example/?x=1&x=2#f", {"x": ["1", "2"], "click_id": ["7"]}),
        ("https://a.example/?q=%C3%A9+b", {"q": ["é b"], "click_id": ["7"]}),
    ],
)
def test_a_destination_keeps_its_own_query(to: str, query: dict[str, list[str]]) -> None:
    found = urlsplit(destination(link(to), 7))
    assert parse_qs(found.query, keep_blank_values=True) == query
    assert found.fragment == urlsplit(to).fragment


def test_a_destinations_own_utm_parameter_wins_and_no_click_id_is_added_to_a_look() -> None:
    made = link("https://a.example/?utm_source=own", utm_source="link", utm_medium="e mail")
    assert destination(made, None) == "https://a.example/?utm_source=own&utm_medium=e+mail"


def test_a_location_is_one_line_of_ascii() -> None:
    assert destination(link("https://ä.example/ö?ü=1"), 7).isascii()


@pytest.mark.parametrize(
    ("headers", "prefetch"),
    [
        ({b"sec-purpose": b"prefetch;prerender"}, True),
        ({b"purpose": b"prefetch"}, True),
        ({b"x-moz": b"prefetch"}, True),
        ({b"x-purpose": b"preview"}, True),
        ({b"sec-fetch-mode": b"navigate"}, False),
    ],
)
def test_browsers_that_fetch_ahead_are_recognised(headers: dict[bytes, bytes], prefetch: bool) -> None:
    assert is_prefetch(headers) is prefetch


@pytest.mark.parametrize(
    ("agent", "crawler", "bot"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", True, True),
        ("Slackbot-LinkExpanding 1.0", True, True),
        ("", True, True),
        ("curl/8.5.0", False, True),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0", False, False),
    ],
)
def test_who_follows_links_by_itself_is_a_crawler(agent: str, crawler: bool, bot: bool) -> None:
    asked: tuple[Callable[[str], bool], ...] = (is_crawler, is_bot)
    assert tuple(ask(agent) for ask in asked) == (crawler, bot)


def test_the_pixel_is_a_gif_of_43_bytes() -> None:
    assert (len(GIF), GIF[:6], GIF[6:10], GIF[-1:]) == (43, b"GIF89a", b"\x01\x00\x01\x00", b";")


def test_only_the_routes_of_links_are_claimed() -> None:
    assert all(claims("PUT", path) for path in ("/l/abc", "/api/conversions/track/t", "/api/v1/conversions/track"))
    others = ("/l", "/api/v1/conversions", "/api/v1/conversions/goals", "/api/v1/conversions/tracks", "/api/v1/links")
    assert not any(claims("PUT", path) for path in others)
