"""URLs, as far as the rules need them: host, path, query, and the site a host belongs to."""

from functools import lru_cache
from typing import Final, NamedTuple

SECOND_LEVEL: Final = frozenset({"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"})
"""Labels under which a country's registry hands out names (``shop.co.uk``, ``shop.com.au``)."""
SHARED_HOSTS: Final = frozenset(
    {"github.io", "gitlab.io", "blogspot.com", "wordpress.com", "myshopify.com", "netlify.app", "vercel.app", "web.app"}
)
"""Hosts whose sub-domains belong to different people (from publicsuffix.org, private section)."""


class Location(NamedTuple):
    """Parts of a URL. All empty for an empty one."""

    host: str
    """Lower case, without port and user."""
    path: str
    """Without query and fragment; "/" where a URL with a host has none."""
    query: str


NOWHERE: Final = Location("", "", "")


@lru_cache(maxsize=16_384)
def locate(url: str) -> Location:
    """Split a URL as sent. Never fails: what is no URL is a path."""
    if not url:
        return NOWHERE
    whole, _, _ = url.partition("#")
    address, _, query = whole.partition("?")
    scheme, marker, rest = address.partition("://")
    if marker:
        pass
    elif address.startswith("//"):
        rest = address[2:]
    else:
        return Location("", scheme, query)
    authority, _, path = rest.partition("/")
    return Location(host_of(authority), "/" + path, query)


def page_of(url: str) -> str:
    """A web page's address as others may be told it: no user, query or fragment, and no path that holds an ``@``.

    Empty for what is no web page. ``https://ann@shop.example/thanks?email=..`` is ``https://shop.example/thanks``.
    """
    scheme, marker, rest = url.partition("#")[0].partition("?")[0].partition("://")
    scheme = scheme.lower()
    if not marker or scheme not in ("http", "https"):
        return ""
    authority, _, path = rest.partition("/")
    host = authority.rpartition("@")[2].lower()
    if not host:
        return ""
    return f"{scheme}://{host}/" if "@" in path or "%40" in path else f"{scheme}://{host}/{path}"


def host_of(authority: str) -> str:
    """Host of ``user@host:port``, lower case, without a final dot."""
    host = authority.rpartition("@")[2].lower()
    if host.startswith("["):
        return host.partition("]")[0][1:]
    return host.partition(":")[0].rstrip(".")


@lru_cache(maxsize=16_384)
def site_of(host: str) -> str:
    """The registrable name of a host (``www.shop.co.uk`` is of ``shop.co.uk``); an address is its own site.

    A table of the usual second-level labels stands in for the public suffix list.
    """
    labels = host.split(".")
    if len(labels) < 3 or labels[-1].isdigit() or ":" in host:
        return host
    country = len(labels[-1]) == 2 and labels[-2] in SECOND_LEVEL
    shared = ".".join(labels[-2:]) in SHARED_HOSTS
    return ".".join(labels[-3:] if country or shared else labels[-2:])
