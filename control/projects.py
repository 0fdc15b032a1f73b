"""Makes projects: the project, a secret key for its servers and a public one for its pages."""

import functools
import secrets
import unicodedata
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import uuid_utils

from control.keys import PUBLIC_SCOPES, new_key
from control.log import ControlLog
from schemas.control import ALL_SCOPES, Key, KeyKind, Project, Scope
from schemas.errors import Reason, Refused

NAME_MAX_CHARS: Final = 200
PROJECT_SCOPES: Final = tuple(scope for scope in ALL_SCOPES if scope is not Scope.PROJECTS_ADMIN)
"""A project's first secret key may do everything inside it, and nothing outside."""


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project and its first keys. The two texts are given out once, and never logged: repr leaves them out."""

    project: Project
    secret_key: Key
    public_key: Key
    secret_text: str = field(repr=False)
    public_text: str = field(repr=False)


async def create_project(
    log: ControlLog, *, name: str, time_zone: str = "UTC", scopes: Iterable[Scope] = PROJECT_SCOPES, now_ms: int
) -> NewProject:
    """Write a project and its first two keys; ``scopes`` are those of the secret one.

    Raises :class:`Refused` for a bad name, time zone or scopes, before anything is written, and
    :class:`schemas.errors.Unavailable`; a project that then lacks its keys can be reached by nobody.
    """
    project = Project(
        id=str(uuid_utils.uuid7()),
        name=checked_name(name),
        site_key=f"site_{secrets.token_hex(10)}",
        time_zone=checked_time_zone(time_zone),
        created_at=now_ms,
    )
    secret_key, secret_text = new_key(project.id, KeyKind.SECRET, scopes, "first secret key", now_ms)
    public_key, public_text = new_key(project.id, KeyKind.PUBLIC, PUBLIC_SCOPES, "first public key", now_ms)
    for body in (project, secret_key, public_key):
        await log.write(body, replaces=0)
    return NewProject(
        project=project,
        secret_key=secret_key,
        public_key=public_key,
        secret_text=secret_text,
        public_text=public_text,
    )


def checked_name(name: str) -> str:
    """The name without surrounding space. Raises :class:`Refused`: empty, too long, or not plain text."""
    stripped = name.strip()
    if not stripped:
        raise Refused(Reason.INVALID_VALUE, "must not be empty", field="name")
    if len(stripped) > NAME_MAX_CHARS:
        raise Refused(Reason.TOO_LONG, f"longer than {NAME_MAX_CHARS} characters", field="name")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in stripped):
        raise Refused(Reason.INVALID_TEXT, "holds control characters or lone surrogates", field="name")
    return stripped


def checked_time_zone(name: str) -> str:
    """The name of an IANA time zone. Raises :class:`Refused` (invalid_value)."""
    if name not in _time_zones():
        raise Refused(Reason.INVALID_VALUE, "not an IANA time zone, such as Europe/Vienna", field="time_zone")
    return name


@functools.cache
def _time_zones() -> frozenset[str]:
    # Names that only mean something on this machine are no names for a project.
    return frozenset(zoneinfo.available_timezones() - {"localtime", "posixrules", "Factory"})
