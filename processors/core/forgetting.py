"""Who was forgotten, and what becomes of an event of theirs that a stage meets again, or for the first time.

1. A request to forget concerns what was received before it. A later event with the same identity is a new person's.
2. An event is the person's if it names their user, contact or conversion; one that names neither user nor contact also
   if its anonymous id, session or click is theirs alone, or, where it has no anonymous id, its fingerprint.
3. Requests are taken from the newest control view, not as of the record: nobody comes back because a log is replayed.
4. A visitor who comes back begins a new session, and knows nothing of the old one.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from schemas.control import CHECK, ForgetMode, Forgotten
from schemas.errors import Invariant
from schemas.events import EMPTY_OBJECT, Arrival, RawEvent
from schemas.identifiers import NO_IDENTIFIERS, VisitorConsent
from schemas.mailing import Mailing

Requests = Callable[[str], Mapping[str, Forgotten]]
"""The requests of a project."""
Digest = Callable[[str, str, str], str]
"""Keyed hash of project, kind and value."""

KIND_OF: Final = {"a:": "anonymous", "u:": "user", "c:": "click", "f:": "fingerprint", "k:": "contact"}
"""What a visitor key is made of, by how it begins."""
REMEMBERED_MS: Final = 8 * 86_400_000
"""Longer than any stage remembers a session."""


class Forgetting:
    """The rules, over the requests there are now."""

    def __init__(self, requests: Requests, digest: Digest) -> None:
        self._requests = requests
        self._digest = digest
        self._known: dict[tuple[str, bool], frozenset[str]] = {}

    def concerns(self, project_id: str) -> bool:
        """Whether anybody of the project asked to be forgotten."""
        return bool(self._requests(project_id))

    def verdict(self, event: RawEvent | Arrival) -> ForgetMode | None:
        """What becomes of an event; None if nobody asked to be forgotten with it.

        Raises :class:`Invariant` if a request was hashed under another secret.
        """
        requests = self._requests(event.project_id)
        found = None
        for request in requests.values():
            if event.received_at < request.requested_at and self._is_theirs(event, self._set_of(request)):
                if request.mode is ForgetMode.REMOVE:
                    return ForgetMode.REMOVE
                found = ForgetMode.ANONYMIZE
        return found

    def renewal(self, project_id: str, visitor: str, received_at: int) -> bytes:
        """What tells a visitor who came back from the one who was forgotten: part of the place of their sessions."""
        latest = b""
        at = 0
        for request in self._requests(project_id).values():
            since = received_at - request.requested_at
            if 0 <= since < REMEMBERED_MS and request.requested_at >= at:
                kind = KIND_OF.get(visitor[:2])
                if kind and self._digest(project_id, kind, visitor[2:]) in self._set_of(request):
                    latest, at = f"\0{request.id}".encode(), request.requested_at
        return latest

    def _set_of(self, request: Forgotten) -> frozenset[str]:
        key = (request.id, request.resolved)
        found = self._known.get(key)
        if found is None:
            if self._digest(request.project_id, CHECK, request.id) != request.check:
                raise Invariant("a request to forget was hashed under another secret: HEADWATER_SECRET_FILE differs")
            found = self._known[key] = frozenset((*request.given, *request.identities))
        return found

    def _is_theirs(self, event: RawEvent | Arrival, theirs: frozenset[str]) -> bool:
        def named(kind: str, value: str) -> bool:
            return value != "" and self._digest(event.project_id, kind, value) in theirs

        contact = event.mailing.contact_id
        conversion = event.conversion_id
        if isinstance(event, RawEvent) and event.refund is not None:
            conversion = event.refund.conversion_id
        if named("user", event.user_id) or named("contact", contact) or named("conversion", conversion):
            return True
        if event.user_id or contact:
            return False
        if named("anonymous", event.anonymous_id) or named("session", event.session_id):
            return True
        return named("click", event.click_id) or (event.anonymous_id == "" and named("fingerprint", event.fingerprint))


def nameless_event(event: RawEvent) -> RawEvent:
    """The event with nothing that ties it to a person: type, name, time, path, order and money stay."""
    return msgspec.structs.replace(
        event,
        visitor=f"e:{event.event_id}",
        user_id="",
        anonymous_id="",
        session_id="",
        click_id="",
        fingerprint="",
        identifiers=NO_IDENTIFIERS,
        consent=VisitorConsent.DENIED.value,
        url=without_query(event.url),
        referrer="",
        campaign=None,
        mailing=_nameless(event),
        properties=EMPTY_OBJECT,
        context=EMPTY_OBJECT,
    )


def nameless_arrival(arrival: Arrival) -> Arrival:
    """The same for the report of a conversion."""
    return msgspec.structs.replace(
        arrival,
        visitor=f"e:{arrival.event_id}",
        user_id="",
        anonymous_id="",
        session_id="",
        click_id="",
        fingerprint="",
        identifiers=NO_IDENTIFIERS,
        consent=VisitorConsent.DENIED.value,
        mailing=_nameless(arrival),
        properties=EMPTY_OBJECT,
    )


def without_query(url: str) -> str:
    """The address up to its query or fragment."""
    return url.partition("#")[0].partition("?")[0]


def _nameless(event: RawEvent | Arrival) -> Mailing:
    return msgspec.structs.replace(event.mailing, contact_id="", sealed_email="")
