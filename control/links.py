"""Makes links, and goals of links with their postback tokens: what their fields may hold, and how ids are found.

A link's id is a random positive integer below 2**53. Of two writers that draw the same one the second loses in the
log, and draws again; a slug is found to be taken in the same way.
"""

import re
import secrets
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final
from urllib.parse import urlsplit

from msgspec import structs

from control.keys import new_token
from control.log import ControlLog
from schemas.control import Link, LinkGoal, Token
from schemas.errors import Reason, Refused

ID_LIMIT: Final = 2**53
URL_MAX_CHARS: Final = 2048
UTM_MAX_CHARS: Final = 512
SLUG_MAX_CHARS: Final = 64
SLUG_CHARS: Final = 7
DRAWS: Final = 5
MONEY_LIMIT: Final = Decimal(10) ** 14
MONEY_QUANTUM: Final = Decimal("0.0001")

_SLUG: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{SLUG_MAX_CHARS - 1}}}")
_SLUG_DIGITS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
"""Without those that are read as others."""
_CONTEXT: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class NewLinkGoal:
    """A goal and its first token, whose text is given out once, and never logged: repr leaves it out."""

    goal: LinkGoal
    token: Token
    text: str = field(repr=False)


async def create_link(log: ControlLog, link: Link) -> Link:
    """Write a link; an empty ``id`` or ``slug`` is drawn. Raises :class:`Refused` (conflict, field ``slug``)."""
    drawn = not link.slug
    for _ in range(DRAWS):
        made = structs.replace(link, id=new_link_id(), slug=new_slug() if drawn else link.slug)
        if not drawn:
            check_slug_free(log, made)
        try:
            await log.write(made, replaces=0)
        except Refused as refusal:
            if refusal.reason is not Reason.CONFLICT:
                raise
            continue  # the id or the slug was taken meanwhile
        return made
    raise slug_taken()


async def create_link_goal(log: ControlLog, goal: LinkGoal) -> NewLinkGoal:
    """Write a goal and its first postback token."""
    await log.write(goal, replaces=0)
    token, text = new_token(goal, goal.created_at)
    await log.write(token, replaces=0)
    return NewLinkGoal(goal=goal, token=token, text=text)


def check_slug_free(log: ControlLog, link: Link) -> None:
    """Raise :class:`Refused` (conflict) if another link has the slug of this one."""
    holder = log.view.links_by_slug.get(link.slug)
    if holder is not None and holder.id != link.id:
        raise slug_taken()


def slug_taken() -> Refused:
    return Refused(Reason.CONFLICT, "another link has this slug", field="slug")


def new_link_id() -> str:
    return str(secrets.randbelow(ID_LIMIT - 1) + 1)


def new_slug() -> str:
    return "".join(secrets.choice(_SLUG_DIGITS) for _ in range(SLUG_CHARS))


def checked_slug(text: str) -> str:
    """Raises :class:`Refused` unless the text can be a slug."""
    if not _SLUG.fullmatch(text):
        message = f"must be 1 to {SLUG_MAX_CHARS} letters, digits, hyphens and underscores, the first a letter or digit"
        raise Refused(Reason.INVALID_VALUE, message, field="slug")
    return text


def checked_url(text: str, field_name: str) -> str:
    """An absolute http or https URL. Raises :class:`Refused`."""
    if len(text) > URL_MAX_CHARS:
        raise Refused(Reason.TOO_LONG, f"must have at most {URL_MAX_CHARS} characters", field=field_name)
    if not text.isprintable() or " " in text:
        raise Refused(Reason.INVALID_TEXT, "holds characters that a URL cannot have", field=field_name)
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise Refused(Reason.INVALID_VALUE, "must be an absolute http or https URL", field=field_name)
    return text


def checked_utm(text: str, field_name: str) -> str:
    """A UTM parameter. Raises :class:`Refused`."""
    stripped = text.strip()
    if len(stripped) > UTM_MAX_CHARS:
        raise Refused(Reason.TOO_LONG, f"must have at most {UTM_MAX_CHARS} characters", field=field_name)
    if not stripped.isprintable():
        raise Refused(Reason.INVALID_TEXT, "holds characters that cannot be printed", field=field_name)
    return stripped


def checked_value(amount: Decimal) -> str:
    """A default value as text, rounded half-even to four digits. Raises :class:`Refused` (invalid_money)."""
    if not amount.is_finite() or not 0 <= amount < MONEY_LIMIT:
        message = "must be a number from 0 on, with at most 14 digits before the point"
        raise Refused(Reason.INVALID_MONEY, message, field="value")
    rounded = amount.quantize(MONEY_QUANTUM, context=_CONTEXT)
    if rounded >= MONEY_LIMIT:
        raise Refused(Reason.INVALID_MONEY, "must have at most 14 digits before the point", field="value")
    return f"{rounded:f}"
