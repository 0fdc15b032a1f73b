"""Ingest's part of the OpenAPI document: one entry for each route and method of ``routes``, preflights and HEAD aside.

Served by the read API, which puts both parts together (``deploy.web``).
"""

import re
from typing import Final

from ingest.fields import IDEMPOTENCY_KEY_MAX
from ingest.routes import Route
from ingest.shapes import Json, batch, ref, schemas
from schemas.errors import STATUS

KEY: Final[list[Json]] = [{"key": []}]
PUBLIC_KEY: Final[list[Json]] = [*KEY, {"publicKeyInUrl": []}]
NOBODY: Final[list[Json]] = []
SECURITY_SCHEMES: Final[Json] = {
    "publicKeyInUrl": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "A public key, for beacons, which cannot set headers",
    }
}

_MEANINGS: Final = {
    400: "Not JSON, a missing field or a wrong JSON type",
    401: "Unknown or revoked key or token",
    403: "The key lacks the scope",
    404: "There is no such thing, or it is another tenant's",
    408: "The body did not arrive in time",
    413: "Too many bytes or events",
    415: "Neither JSON nor text, or not UTF-8",
    422: "A value that is not allowed; field names it",
    429: "The token made too many requests in the last minute; Retry-After says when to come back",
    503: "Kafka did not acknowledge it; send it again after Retry-After seconds",
}
_WRITES: Final = (400, 401, 403, 404, 408, 413, 415, 422, 503)
_TRACKS: Final = (400, 401, 408, 413, 415, 422, 429, 503)


def _content(schema: Json, media: str = "application/json") -> Json:
    return {"content": {media: {"schema": schema}}}


def _refusals(statuses: tuple[int, ...], schema: Json) -> Json:
    assert set(statuses) <= set(STATUS.values())
    return {str(status): {"description": _MEANINGS[status], **_content(schema)} for status in statuses}


def _operation(
    route: Route,
    tag: str,
    summary: str,
    security: list[Json],
    answers: Json,
    *,
    body: Json | None = None,
    parameters: tuple[Json, ...] = (),
) -> Json:
    named = re.findall(r"\{(\w+)\}", route)
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in named]
    made: Json = {"tags": [tag], "summary": summary, "security": security, "responses": answers}
    if found := [*in_path, *parameters]:
        made["parameters"] = found
    return made | ({"requestBody": {"required": True, **_content(body)}} if body else {})


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": IDEMPOTENCY_KEY_MAX},
    "description": "Requests with one key are one; what they make has the same ids",
}
_REFUSAL: Final = ref("IngestRefusal")
_PIXEL: Final = {"type": "string", "format": "binary", "description": "A GIF of 43 bytes, whatever the status"}


def _told(description: str, schema: Json, media: str = "application/json") -> Json:
    return {"description": description, **_content(schema, media)}


def _tracked() -> Json:
    return {"202": _told("Kafka has the conversion", ref("IngestConverted"))} | _refusals(_TRACKS, _REFUSAL)


def _posted(accepted: str) -> Json:
    either = {"anyOf": [ref(accepted), ref("IngestResults")]}
    refused = {"anyOf": [_REFUSAL, ref("IngestResults")]}
    return {"202": _told("Kafka has it; of a batch at least one", either)} | _refusals(_WRITES, refused)


OPERATIONS: Final[dict[tuple[Route, str], Json]] = {
    (Route.EVENTS, "POST"): _operation(
        Route.EVENTS,
        "Events",
        "Post an event, an array of them, or an object with events",
        PUBLIC_KEY,
        _posted("IngestAccepted"),
        body=batch("IngestEvent"),
        parameters=(_IDEMPOTENCY,),
    ),
    (Route.CONVERSIONS, "POST"): _operation(
        Route.CONVERSIONS,
        "Events",
        "Post conversions; the answer names them",
        PUBLIC_KEY,
        _posted("IngestConverted"),
        body=batch("IngestConversion"),
        parameters=(_IDEMPOTENCY,),
    ),
    (Route.REFUNDS, "POST"): _operation(
        Route.REFUNDS,
        "Conversions",
        "Refund a conversion, by its id or its order's: all that is left, or an amount",
        KEY,
        {"202": _told("Kafka has the refund", ref("IngestRefunded"))} | _refusals(_WRITES, _REFUSAL),
        body=ref("IngestRefund"),
        parameters=(_IDEMPOTENCY,),
    ),
    (Route.CONTACT_CONVERSIONS, "POST"): _operation(
        Route.CONTACT_CONVERSIONS,
        "Conversions",
        "Track a conversion of a contact",
        KEY,
        {"201": _told("Kafka has the conversion", ref("IngestContactConverted"))} | _refusals(_WRITES, _REFUSAL),
        body=ref("IngestContactConversion"),
        parameters=(_IDEMPOTENCY,),
    ),
    (Route.TRACK, "POST"): _operation(
        Route.TRACK,
        "Links",
        "Report a conversion by a goal's postback token",
        NOBODY,
        _tracked(),
        body=ref("IngestPostback"),
        parameters=(_IDEMPOTENCY,),
    ),
    (Route.TRACK, "GET"): _operation(
        Route.TRACK,
        "Links",
        "The same as a pixel",
        NOBODY,
        {
            str(status): _told(_MEANINGS.get(status, "Kafka has the conversion"), _PIXEL, "image/gif")
            for status in (200, 400, 401, 422, 429, 503)
        },
        parameters=tuple(_query(name, {"type": "string"}) for name in ("value", "currency", "order_id", "click_id")),
    ),
    (Route.TRACK_BY_BODY, "POST"): _operation(
        Route.TRACK_BY_BODY,
        "Links",
        "Report a conversion, with the token in the body",
        NOBODY,
        _tracked(),
        body=ref("IngestPostbackWithToken"),
        parameters=(_IDEMPOTENCY,),
    ),
    (Route.REDIRECT, "GET"): _operation(
        Route.REDIRECT,
        "Links",
        "Open a link: records the click and leads on",
        NOBODY,
        {
            "302": {
                "description": "To the destination, with click_id and the link's UTM parameters",
                "headers": {"Location": {"schema": {"type": "string"}}},
            }
        }
        | _refusals((404, 503), _REFUSAL),
    ),
    (Route.SCRIPT, "GET"): _operation(
        Route.SCRIPT,
        "Events",
        "The browser tracker",
        NOBODY,
        {
            "200": _told("The script", {"type": "string"}, "text/javascript"),
            "304": {"description": "The browser has it"},
        },
    ),
}


def document() -> Json:
    """The paths and components of ingest, to be merged into a whole document."""
    paths: Json = {}
    for (route, method), operation in OPERATIONS.items():
        paths.setdefault(route.value, {})[method.lower()] = operation
    return {"paths": paths, "components": {"schemas": schemas(), "securitySchemes": SECURITY_SCHEMES}}
