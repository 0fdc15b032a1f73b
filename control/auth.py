"""Who may do what: the one place where a key, a project and a scope meet. Ingest and the API both ask here.

=====================================================  ======  =================
what is wrong                                          status  code
=====================================================  ======  =================
no key, an unknown or a revoked one                    401     unauthorized
no such project, or the key is of another              404     not_found
the key lacks the scope; a public key beyond events    403     insufficient_scope
=====================================================  ======  =================

Another tenant's project looks like none. A key or project that this process does not know may have been made a moment
ago elsewhere: the log is caught up before it is refused. A text that cannot be a key is refused at once. A key is
looked up by its SHA-256, so the time that takes tells nothing about the keys there are.
"""

from control.keys import PUBLIC_SCOPES, well_formed
from control.log import ControlLog
from schemas.control import ControlView, Key, KeyKind, Project, Scope
from schemas.errors import Reason, Refused


def authenticate(view: ControlView, token: str | None) -> Key:
    """The key of an ``Authorization`` header (``Bearer <key>``) or of its bare text.

    Raises :class:`Refused` (unauthorized).
    """
    key = view.key(_text(token))
    if key is None:
        raise Refused(Reason.UNAUTHORIZED, "unknown or revoked API key")
    return key


async def authorize(
    log: ControlLog,
    token: str | None,
    *,
    scope: Scope,
    project_id: str | None = None,
    site_key: str | None = None,
) -> tuple[Project, Key]:
    """The project and the key of a request that needs ``scope``.

    The project is named by its id or by its site key; by neither, it is the key's own. Raises :class:`Refused` as in
    the table above, and :class:`schemas.errors.Unavailable` if something unknown cannot be looked for.
    """
    text = _text(token)
    key = log.view.key(text)
    if key is None:
        await log.catch_up()
        key = authenticate(log.view, text)
    if project_id is None and site_key is None:
        project_id = key.project_id
    project = _project(log.view, project_id, site_key)
    if project is None:
        await log.catch_up()
        project = _project(log.view, project_id, site_key)
    if project is None or project.id != key.project_id:
        raise Refused(Reason.NOT_FOUND, "no such project")
    require(key, scope)
    return project, key


def require(key: Key, scope: Scope) -> None:
    """Raise :class:`Refused` (insufficient_scope) unless the key has the scope."""
    if key.kind is KeyKind.PUBLIC and scope not in PUBLIC_SCOPES:
        raise Refused(Reason.INSUFFICIENT_SCOPE, f"{scope} needs a secret key, and this one is public")
    if scope not in key.scopes:
        raise Refused(Reason.INSUFFICIENT_SCOPE, f"this key lacks the scope {scope}")


def _text(token: str | None) -> str:
    words = (token or "").split()
    if len(words) == 2 and words[0].lower() == "bearer":
        del words[0]
    if not words:
        raise Refused(Reason.UNAUTHORIZED, "an API key is needed: Authorization: Bearer <key>")
    if len(words) != 1 or not well_formed(words[0]):
        raise Refused(Reason.UNAUTHORIZED, "this is not an API key")
    return words[0]


def _project(view: ControlView, project_id: str | None, site_key: str | None) -> Project | None:
    if project_id is not None:
        return view.project(project_id)
    return view.projects_by_site_key.get(site_key or "")
