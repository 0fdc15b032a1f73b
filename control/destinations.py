"""Makes and changes destinations: what their fields may hold.

A destination that a link goal's postback URL makes has no record until something about it is changed; then it gets one
under the goal's id. Its address stays the goal's.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from control.links import checked_url
from control.log import ControlLog
from schemas.control import Destination
from schemas.errors import Reason, Refused

LOW_PORTS: Final = frozenset({80, 443})
UNPRIVILEGED: Final = 1024
OPTIONS_MAX: Final = 32
OPTION_MAX_CHARS: Final = 512
EVENTS_MAX: Final = 64
SECRET_MAX_CHARS: Final = 1024

Edit = Callable[[Destination], Destination]


def checked_destination_url(text: str) -> str:
    """An address to be told. Raises :class:`Refused`, also for what would be refused at each attempt by its form."""
    checked_url(text, "url")
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None:
        raise Refused(Reason.INVALID_VALUE, "must not hold a user or password", field="url")
    if parts.port is not None and parts.port < UNPRIVILEGED and parts.port not in LOW_PORTS:
        raise Refused(Reason.INVALID_VALUE, "must have port 80, 443, or one from 1024 on", field="url")
    return text


def checked_options(options: dict[str, str]) -> dict[str, str]:
    """Raises :class:`Refused` (too_long) for too many or too long ones."""
    if len(options) > OPTIONS_MAX or any(len(text) > OPTION_MAX_CHARS for pair in options.items() for text in pair):
        message = f"may hold {OPTIONS_MAX} options of {OPTION_MAX_CHARS} characters"
        raise Refused(Reason.TOO_LONG, message, field="options")
    return options


def checked_events(events: list[str]) -> tuple[str, ...]:
    """Kinds of conversions. Raises :class:`Refused` (too_long)."""
    if len(events) > EVENTS_MAX or any(len(kind) > OPTION_MAX_CHARS for kind in events):
        raise Refused(Reason.TOO_LONG, f"may hold {EVENTS_MAX} kinds", field="events")
    return tuple(dict.fromkeys(events))


def checked_secret(text: str) -> str:
    """An access token. Raises :class:`Refused`."""
    if not text.isprintable() or not text.isascii() or len(text) > SECRET_MAX_CHARS:
        raise Refused(Reason.INVALID_TEXT, f"must be at most {SECRET_MAX_CHARS} ASCII characters", field="access_token")
    return text


async def change_destination(log: ControlLog, current: Destination, edit: Edit) -> Destination:
    """Replace a destination by what ``edit`` makes of it; ``current`` is what the view shows.

    Raises :class:`Refused` (not_found, conflict) and :class:`schemas.errors.Unavailable` as ``log.change`` does.
    """
    if log.view.entry(Destination, current.id) is None:
        entry = await log.write(edit(current), replaces=0)
    else:
        entry = await log.change(Destination, current.id, edit)
    assert isinstance(entry.body, Destination)
    return entry.body


async def delete_destination(log: ControlLog, current: Destination) -> None:
    """Delete it, for good. A goal's postback URL tells nobody any more after that."""
    if log.view.entry(Destination, current.id) is None:
        await log.write(current, replaces=0)
    await log.delete(Destination, current.id)
