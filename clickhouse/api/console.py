"""``/console``: goals, conversions, funnels, retention and links as pages: static files that ask the API.

No script, style or frame from elsewhere: the key that is typed in is nobody else's business.
"""

from importlib import resources
from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from schemas.errors import Reason, Refused

TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
FILES: Final = {
    file.name: file.read_bytes()
    for file in (resources.files("clickhouse") / "console").iterdir()
    if file.name.endswith(tuple(TYPES))
}


@get("/console", include_in_schema=False, sync_to_thread=False)
def console() -> Response[bytes]:
    """The page."""
    return _file("index.html")


@get("/console/{name:str}", include_in_schema=False, sync_to_thread=False)
def console_file(name: FromPath[str]) -> Response[bytes]:
    """A part of it. Raises :class:`Refused` (not_found)."""
    return _file(name)


def _file(name: str) -> Response[bytes]:
    if name not in FILES:
        raise Refused(Reason.NOT_FOUND, "no such page")
    media_type = f"{TYPES[name[name.rindex('.') :]]}; charset=utf-8"
    return Response(FILES[name], media_type=media_type, headers=HEADERS)
