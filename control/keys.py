"""API keys: ``pk_live_..`` for pages (public), ``sk_live_..`` for servers (secret); ``pt_live_..`` are postback tokens.

After the prefix come 43 base62 digits of 256 random bits and six of their CRC-32, as GitHub's tokens have: a scanner
for leaked secrets recognises one without asking, and a mistyped one is refused without a look-up.

A key's text is given out once. Only its SHA-256 is stored: 256 random bits need no slow hash.
"""

import secrets
import zlib
from collections.abc import Iterable
from typing import Final

import uuid_utils

from schemas.control import Key, KeyKind, LinkGoal, Scope, Token, digest
from schemas.errors import Reason, Refused

PREFIX: Final = {KeyKind.PUBLIC: "pk_live_", KeyKind.SECRET: "sk_live_"}
TOKEN_PREFIX: Final = "pt_live_"
"""Postback tokens: public like a page's key, since they stand in the URLs of pixels."""
PUBLIC_SCOPES: Final = (Scope.EVENTS_WRITE,)
"""All that a public key may ever do: it stands in the source of a page."""

NAME_MAX_CHARS: Final = 200

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_BYTES: Final = 32
_RANDOM_CHARS: Final = 43
_CHECKSUM_CHARS: Final = 6


def new_key(project_id: str, kind: KeyKind, scopes: Iterable[Scope], name: str, now_ms: int) -> tuple[Key, str]:
    """A key to write to the log, and its text, which exists nowhere else.

    Raises :class:`Refused` (invalid_value) for a secret key without scopes and a public one with others than its own.
    """
    granted = tuple(scope for scope in Scope if scope in set(scopes))
    if not granted:
        raise Refused(Reason.INVALID_VALUE, "a key needs at least one scope", field="scopes")
    if kind is KeyKind.PUBLIC and granted != PUBLIC_SCOPES:
        raise Refused(Reason.INVALID_VALUE, "a public key may write events only", field="scopes")
    if len(name) > NAME_MAX_CHARS:
        raise Refused(Reason.TOO_LONG, f"longer than {NAME_MAX_CHARS} characters", field="name")
    text = _text(PREFIX[kind])
    key = Key(
        id=str(uuid_utils.uuid7()),
        project_id=project_id,
        kind=kind,
        digest=digest(text),
        hint=hint(text),
        name=name,
        scopes=granted,
        created_at=now_ms,
    )
    return key, text


def new_token(goal: LinkGoal, now_ms: int) -> tuple[Token, str]:
    """A postback token of a goal to write to the log, and its text, which exists nowhere else."""
    text = _text(TOKEN_PREFIX)
    token = Token(
        id=str(uuid_utils.uuid7()),
        project_id=goal.project_id,
        goal_id=goal.id,
        digest=digest(text),
        hint=hint(text),
        created_at=now_ms,
    )
    return token, text


def well_formed(text: str) -> bool:
    """Whether the text can be a key of ours at all: its prefix, length and checksum fit."""
    return _well_formed(text, PREFIX.values())


def well_formed_token(text: str) -> bool:
    """Whether the text can be a postback token at all."""
    return _well_formed(text, (TOKEN_PREFIX,))


def _well_formed(text: str, prefixes: Iterable[str]) -> bool:
    body = next((text[len(prefix) :] for prefix in prefixes if text.startswith(prefix)), "")
    random, checksum = body[:_RANDOM_CHARS], body[_RANDOM_CHARS:]
    return len(random) == _RANDOM_CHARS and body.isascii() and checksum == _checksum(random)


def hint(text: str) -> str:
    """Enough of a key to tell it from others in a list, and too little to use it: ``sk_live_4fGh…x9Qz``."""
    shown = len(PREFIX[KeyKind.SECRET]) + 4
    return f"{text[:shown]}…{text[-4:]}"


def _text(prefix: str) -> str:
    random = _base62(int.from_bytes(secrets.token_bytes(_RANDOM_BYTES)), _RANDOM_CHARS)
    return prefix + random + _checksum(random)


def _checksum(random: str) -> str:
    return _base62(zlib.crc32(random.encode()), _CHECKSUM_CHARS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
