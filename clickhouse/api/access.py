"""Who may do what, asked before a body is read.

A route declares ``opt=needs(scope)``; the path names the project by ``project_id`` or, in seed S2, by its site key
(``key``), or it is the key's own. A route that answers from the control log says ``current=True``: it first catches up,
so that it sees what others wrote, and refuses a key that was revoked a moment ago elsewhere.
"""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from control.auth import authorize
from control.log import ControlLog
from schemas.control import Key, Project, Scope


def needs(scope: Scope, *, current: bool = False) -> dict[str, Any]:
    """What a route declares."""
    return {"scope": scope, "current": current}


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let the request in, with ``state.project`` and ``state.key``, or raise as :func:`control.auth.authorize` does."""
    log: ControlLog = connection.app.state.log
    if handler.opt["current"]:
        await log.catch_up()
    project, key = await authorize(
        log,
        connection.headers.get("authorization"),
        scope=handler.opt["scope"],
        project_id=connection.path_params.get("project_id"),
        site_key=connection.path_params.get("key"),
    )
    connection.state.project = project
    connection.state.key = key


def project_of(request: Request[Any, Any, Any]) -> Project:
    """The project that the guard let the request into."""
    project: Project = request.state.project
    return project


def key_of(request: Request[Any, Any, Any]) -> Key:
    """The key that the guard let in."""
    key: Key = request.state.key
    return key
