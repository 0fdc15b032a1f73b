"""Where a destination may be: nowhere inside.

A URL is given by a client and asked by us, from where we stand. So its scheme and port are limited, its name is
resolved once, each address it has is looked at, and the connection goes to just these addresses. Names that have an
address inside besides others outside are refused as a whole.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from yarl import URL

from control.destinations import LOW_PORTS, UNPRIVILEGED

SCHEMES: Final = frozenset({"http", "https"})
TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""NAT64: the last four bytes are an IPv4 address."""


class Forbidden(Exception):
    """The URL or an address of its host must not be asked; the message says why, without naming the address."""


def check_url(text: str) -> URL:
    """The URL, if its form is one to be asked. Raises :class:`Forbidden`."""
    try:
        url = URL(text)
        port = url.port
    except ValueError as error:
        raise Forbidden("not a URL") from error
    if url.scheme not in SCHEMES or not url.host:
        raise Forbidden("only http and https are asked")
    if url.user is not None or url.password is not None:
        raise Forbidden("a URL with a user or password is not asked")
    if port is None or (port < UNPRIVILEGED and port not in LOW_PORTS):
        raise Forbidden("the port is not one of a web server")
    return url


def check_address(text: str) -> None:
    """Raise :class:`Forbidden` unless the address is one of the public Internet."""
    address = ip_address(text.partition("%")[0])
    if not is_public(address):
        raise Forbidden("the address is private, loopback, link-local or reserved")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anyone on the Internet could reach it; an IPv6 address with an IPv4 address in it is that one."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local or address.teredo is not None:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    packed = address.packed
    if address in TRANSLATED or (packed[:12] == bytes(12) and packed[12:14] != bytes(2)):  # ::a.b.c.d, deprecated
        return IPv4Address(packed[12:])
    return None
