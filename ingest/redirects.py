"""A click on a link: where it leads, and the event that it is. Pure: the id and the time are handed in.

1. The destination gets ``click_id``, in the place of one that it has, and the link's UTM parameters, except those that
   it has itself. Everything else of it, its fragment too, stays as it was written.
2. A redirect that is only looked up (HEAD, or the click could not be recorded) leads there without a ``click_id``.
3. Prefetches, and programs that follow links by themselves, get the same answer; their clicks are marked.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit

import msgspec

from ingest import fields
from ingest.visitor import visitor_key
from schemas.control import Link
from schemas.events import RawEvent
from schemas.outcomes import Mark, Trust

CLICK_ID: Final = "click_id"
UTM: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
PREFETCH_HEADERS: Final = (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz")
PREFETCH_WORDS: Final = (b"prefetch", b"prerender", b"preview")
_SAFE: Final = "!#$%&'()*+,/:;=?@[]~"
"""What may stand in a Location as it is; anything else is percent-encoded."""

_encode = msgspec.json.Encoder().encode


def destination(link: Link, click_id: int | None) -> str:
    """Where a click leads (rules 1 and 2). Printable ASCII."""
    parts = urlsplit(link.destination)
    kept = [pair for pair in parts.query.split("&") if pair and (click_id is None or _name(pair) != CLICK_ID)]
    named = {_name(pair) for pair in kept}
    added = {name: value for name in UTM if (value := getattr(link, name)) and name not in named}
    if click_id is not None:
        added[CLICK_ID] = str(click_id)
    query = "&".join([*kept, *([urlencode(added)] if added else [])])
    return quote(urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment)), safe=_SAFE)


def is_prefetch(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser fetches this before anybody clicked."""
    return any(word in headers.get(name, b"").lower() for name in PREFETCH_HEADERS for word in PREFETCH_WORDS)


def click(
    link: Link,
    click_id: int,
    *,
    event_id: str,
    received_at: int,
    url: str,
    referrer: str,
    fingerprint: str,
    bot: bool,
    prefetch: bool,
) -> RawEvent:
    """The event of a click. ``url``: where it leads; its UTM parameters are the click's source."""
    marks = [mark.value for mark, found in ((Mark.BOT, bot), (Mark.PREFETCH, prefetch)) if found]
    text = str(click_id)
    return RawEvent(
        project_id=link.project_id,
        event_id=event_id,
        trust=Trust.PUBLIC,
        received_at=received_at,
        occurred_at=received_at,
        marks=tuple(marks),
        event_type="click",
        event_name=link.slug,
        visitor=visitor_key(anonymous_id="", user_id="", click_id=text, fingerprint=fingerprint, event_id=event_id),
        click_id=text,
        fingerprint=fingerprint,
        url=url,
        referrer=referrer if len(referrer) <= fields.URL_MAX else "",
        link_id=int(link.id),
        properties=msgspec.Raw(_encode({"link_id": int(link.id), "slug": link.slug})),
    )


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])
