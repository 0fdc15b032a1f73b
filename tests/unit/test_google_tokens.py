"""Access tokens for the Google Ads API, from a stand-in of the token server."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
from platforms import Platforms, platforms

from processors.delivery.exchange import Exchange, Reply
from processors.delivery.forwarding.google_access import credentials_of
from processors.delivery.google_tokens import GoogleTokens
from schemas.control import Destination, DestinationKind
from schemas.outcomes import DeliveryOutcome

SECRET = json.dumps({"developer_token": "dev", "client_id": "i", "client_secret": "s", "refresh_token": "r"})


@pytest.fixture
def platform() -> Iterator[Platforms]:
    with platforms() as both:
        yield both


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tokens(clock: Clock) -> AsyncIterator[GoogleTokens]:
    exchange = Exchange(timeout_ms=5000, allow_private=True)
    yield GoogleTokens(exchange, clock=clock)
    await exchange.close()


def destination(platform: Platforms, path: str = "/token") -> Destination:
    options = {"token_url": platform.url + path}
    return Destination(id="d", project_id="p", name="Ads", kind=DestinationKind.GOOGLE, options=options)


async def token_of(tokens: GoogleTokens, one: Destination) -> str:
    full = await tokens.secret_of(one, SECRET)
    assert isinstance(full, str)
    credentials = credentials_of(full)
    assert credentials is not None
    assert credentials.developer_token == "dev"
    return credentials.access_token


async def test_a_token_is_asked_for_once_and_kept_until_a_minute_before_its_end(
    tokens: GoogleTokens, platform: Platforms, clock: Clock
) -> None:
    one = destination(platform)
    assert [await token_of(tokens, one) for _ in range(3)] == ["ya29.1"] * 3
    clock.now += (platform.expires_in - 60) * 1000 - 1
    assert await token_of(tokens, one) == "ya29.1"
    clock.now += 1
    assert await token_of(tokens, one) == "ya29.2"
    assert platform.tokens_granted == 2


async def test_a_token_that_was_refused_is_forgotten(tokens: GoogleTokens, platform: Platforms) -> None:
    one = destination(platform)
    assert await token_of(tokens, one) == "ya29.1"
    tokens.judge(SECRET, Reply(DeliveryOutcome.HTTP_ERROR, 403))
    assert await token_of(tokens, one) == "ya29.1"
    tokens.judge(SECRET, Reply(DeliveryOutcome.HTTP_ERROR, 401))
    assert await token_of(tokens, one) == "ya29.2"


async def test_without_a_refresh_token_nothing_is_asked(tokens: GoogleTokens, platform: Platforms) -> None:
    for secret in ("ya29.own", '{"access_token":"ya29.own"}', "{", ""):
        assert await tokens.secret_of(destination(platform), secret) == secret
    assert platform.receiver.told == []


async def test_a_refusal_is_the_replys_and_an_answer_without_a_token_is_an_error(
    tokens: GoogleTokens, platform: Platforms
) -> None:
    refused = await tokens.secret_of(destination(platform, "/refused"), SECRET)
    assert isinstance(refused, Reply)
    assert (refused.outcome, refused.status) == (DeliveryOutcome.HTTP_ERROR, 401)
    assert refused.detail.startswith("no access token: ")
    platform.token_answer = {"error": "invalid_grant"}
    empty = await tokens.secret_of(destination(platform), SECRET)
    assert isinstance(empty, Reply)
    assert (empty.outcome, empty.status) == (DeliveryOutcome.HTTP_ERROR, 200)
    platform.token_answer = None
    assert await token_of(tokens, destination(platform)) == "ya29.2"
