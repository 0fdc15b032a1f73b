"""Where a destination may be, and what becomes of one that may not."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from receiver import receiving, status

from control.destinations import checked_destination_url
from processors.delivery.addresses import Forbidden, check_address, check_url, is_public
from processors.delivery.exchange import CheckedResolver, Exchange
from processors.delivery.request import Outgoing
from schemas.errors import Reason, Refused
from schemas.outcomes import DeliveryOutcome

INSIDE = (
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)
OUTSIDE = (
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused(address: str) -> None:
    with pytest.raises(Forbidden):
        check_address(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_asked(address: str) -> None:
    check_address(address)
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "http:///path",
        "http://user:pass@example.com/",
        "http://user@example.com/",
        "http://example.com:22/",
        "http://example.com:25/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://[::1/",
        "",
    ],
)
def test_a_url_of_the_wrong_form_is_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://example.com", "https://example.com/a?b=c", "http://example.com:8080/", "https://[2606:4700::1]:443/"],
)
def test_a_url_of_the_web_is_asked(url: str) -> None:
    assert check_url(url).host
    assert checked_destination_url(url) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", Reason.INVALID_VALUE),
        ("http://user@example.com/", Reason.INVALID_VALUE),
        ("http://example.com:22/", Reason.INVALID_VALUE),
        ("http://example.com/" + "x" * 3000, Reason.TOO_LONG),
        ("http://exa mple.com/", Reason.INVALID_TEXT),
    ],
)
def test_what_would_be_refused_for_its_form_is_refused_when_it_is_saved(url: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refusal:
        checked_destination_url(url)
    assert (refusal.value.reason, refusal.value.field) == (reason, "url")


def outgoing(url: str) -> Outgoing:
    return Outgoing(url=url, headers={}, body=b"{}")


class Says(AbstractResolver):
    """A name server that says one thing first and another later."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0) for one in found
        ]

    async def close(self) -> None:
        pass


def with_names(exchange: Exchange, names: Says) -> None:
    """The name server is all that is not ours in the exchange."""
    resolver: Any = CheckedResolver()
    resolver._resolver = names
    exchange._session.connector._resolver = resolver  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.0.0.1", "127.1", "017700000001"],
)
async def test_loopback_is_refused_however_it_is_written(host: str) -> None:
    with receiving() as receiver:
        exchange = Exchange(timeout_ms=5000, allow_private=False)
        try:
            reply = await exchange.post(outgoing(f"http://{host}:{receiver.port}/"))
        finally:
            await exchange.close()
        assert reply.outcome in (DeliveryOutcome.FORBIDDEN, DeliveryOutcome.UNREACHABLE)
        assert reply.outcome is DeliveryOutcome.FORBIDDEN or host not in ("127.0.0.1", "localhost", "[::1]")
        assert receiver.told == []


async def test_a_name_with_an_address_inside_is_refused_as_a_whole() -> None:
    with receiving() as receiver:
        exchange = Exchange(timeout_ms=5000, allow_private=False)
        with_names(exchange, Says(["93.184.216.34", "127.0.0.1"]))
        try:
            reply = await exchange.post(outgoing(f"http://shop.example:{receiver.port}/"))
        finally:
            await exchange.close()
        assert reply.outcome is DeliveryOutcome.FORBIDDEN
        assert receiver.told == []


async def test_a_name_is_resolved_once_and_what_it_says_later_does_not_matter() -> None:
    """An answer that changes between the look at it and its use is the classic way in."""
    with receiving() as receiver:
        names = Says(["127.0.0.1"], ["127.0.0.2"])
        exchange = Exchange(timeout_ms=5000, allow_private=True)
        exchange._session.connector._resolver = names  # type: ignore[union-attr]
        try:
            reply = await exchange.post(outgoing(f"http://shop.example:{receiver.port}/"))
        finally:
            await exchange.close()
        assert (reply.outcome, names.asked) == (DeliveryOutcome.DELIVERED, 1)


async def test_a_resolver_hands_on_exactly_what_it_has_looked_at() -> None:
    names = Says(["93.184.216.34"], ["127.0.0.1"])
    resolver = CheckedResolver()
    resolver._resolver = names  # type: ignore[assignment]
    assert [one["host"] for one in await resolver.resolve("shop.example", 80)] == ["93.184.216.34"]
    with pytest.raises(Forbidden):
        await resolver.resolve("shop.example", 80)


async def test_the_host_header_is_the_name_and_the_connection_goes_to_its_address() -> None:
    with receiving() as receiver:
        exchange = Exchange(timeout_ms=5000, allow_private=True)
        exchange._session.connector._resolver = Says(["127.0.0.1"])  # type: ignore[union-attr]
        try:
            reply = await exchange.post(outgoing(f"http://shop.example:{receiver.port}/hook"))
        finally:
            await exchange.close()
        assert reply.outcome is DeliveryOutcome.DELIVERED
        assert receiver.told[0].headers["host"] == f"shop.example:{receiver.port}"
        assert receiver.told[0].path == "/hook"


async def test_an_answer_is_judged_by_its_status() -> None:
    async def told(answer: Any) -> tuple[DeliveryOutcome, int, int]:
        with receiving() as receiver:
            receiver.answer = answer
            exchange = Exchange(timeout_ms=5000, allow_private=True)
            try:
                reply = await exchange.post(outgoing(receiver.url))
            finally:
                await exchange.close()
            return reply.outcome, reply.status, reply.retry_after_ms

    assert await told(status(204)) == (DeliveryOutcome.DELIVERED, 204, 0)
    assert await told(status(307, Location="http://127.0.0.1:1/")) == (DeliveryOutcome.REDIRECTED, 307, 0)
    assert await told(status(429, **{"Retry-After": "7"})) == (DeliveryOutcome.HTTP_ERROR, 429, 7000)
    assert await told(status(503, **{"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"})) == (
        DeliveryOutcome.HTTP_ERROR,
        503,
        0,
    )


async def test_nobody_there_and_no_answer_are_told_apart() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        exchange = Exchange(timeout_ms=300, allow_private=True)
        try:
            assert (await exchange.post(outgoing(f"http://127.0.0.1:{port}/"))).outcome is DeliveryOutcome.TIMEOUT
            silent.close()
            found = await exchange.post(outgoing(f"http://127.0.0.1:{port}/"))
            assert found.outcome is DeliveryOutcome.UNREACHABLE
        finally:
            await exchange.close()
    await asyncio.sleep(0)
