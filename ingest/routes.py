"""The paths that ingest answers, each in one place: its template, and the methods that it takes.

On a port shared with the read API a path of ``SHARED`` is ingest's for its own
methods only; every other one is ingest's altogether.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class Route(StrEnum):
    """A path, as OpenAPI writes it."""

    EVENTS = "/v1/projects/{project_id}/events"
    CONVERSIONS = "/v1/projects/{project_id}/conversions"
    REFUNDS = "/v1/projects/{project_id}/conversions/{refunded}/refunds"
    CONTACT_CONVERSIONS = "/api/v1/conversions"
    TRACK = "/api/conversions/track/{token}"
    TRACK_BY_BODY = "/api/v1/conversions/track"
    REDIRECT = "/l/{slug}"
    SCRIPT = "/oa.js"


METHODS: Final[dict[Route, tuple[str, ...]]] = {
    Route.EVENTS: ("POST", "OPTIONS"),
    Route.CONVERSIONS: ("POST", "OPTIONS"),
    Route.REFUNDS: ("POST",),
    Route.CONTACT_CONVERSIONS: ("POST",),
    Route.TRACK: ("GET", "POST", "OPTIONS"),
    Route.TRACK_BY_BODY: ("POST", "OPTIONS"),
    Route.REDIRECT: ("GET", "HEAD"),
    Route.SCRIPT: ("GET", "HEAD"),
}
SHARED: Final = frozenset({Route.EVENTS, Route.CONVERSIONS, Route.REFUNDS, Route.CONTACT_CONVERSIONS})


class Found(NamedTuple):
    """The route of a path, and the texts of its parameters (empty where it has none)."""

    route: Route
    parameter: str
    rest: str = ""
    """The second one: what is refunded, a conversion's id or an order's, which may hold slashes."""


_WHOLE: Final = {route.value: Found(route, "") for route in Route if "{" not in route}
_OF_PROJECT: Final = {"events": Route.EVENTS, "conversions": Route.CONVERSIONS}
_REST: Final = tuple((route.partition("{")[0], route) for route in (Route.TRACK, Route.REDIRECT))
"""Their parameter is the rest of the path, whatever it is: what nobody has is refused as such."""


def find(path: str) -> Found | None:
    """The route of a path, whatever the method; None if it is none of ingest's."""
    parts = path.split("/")
    if len(parts) >= 5 and parts[1] == "v1" and parts[2] == "projects" and parts[3]:
        if len(parts) == 5:
            return Found(_OF_PROJECT[parts[4]], parts[3]) if parts[4] in _OF_PROJECT else None
        refunded = "/".join(parts[5:-1])
        if refunded and parts[4] == "conversions" and parts[-1] == "refunds":
            return Found(Route.REFUNDS, parts[3], refunded)
    if path in _WHOLE:
        return _WHOLE[path]
    for prefix, route in _REST:
        if path.startswith(prefix):
            return Found(route, path.removeprefix(prefix))
    return None


def claims(method: str, path: str) -> bool:
    """Whether this request is ingest's, on a port that it shares with the read API."""
    found = find(path)
    return found is not None and (found.route not in SHARED or method in METHODS[found.route])
