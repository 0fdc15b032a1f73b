"""What a goal's fields may hold, beyond their JSON types."""

import unicodedata
from typing import Final

import msgspec
from babel.numbers import list_currencies

from clickhouse.api.given import GivenReader
from clickhouse.read import QueryRefused
from schemas.control import MatchType
from schemas.errors import Reason, Refused

CURRENCIES: Final = frozenset(list_currencies())
"""ISO 4217, withdrawn codes included: history may be imported."""

REGEX_MAX_BYTES: Final = 256
CANNOT_COMPILE_REGEXP: Final = 427


class _Matches(msgspec.Struct, frozen=True):
    matches: bool


def currency_code(text: str | None) -> str | None:
    """The code in upper case. Raises :class:`Refused` (invalid_currency) unless ISO 4217 knows it."""
    if text is None:
        return None
    code = text.upper()
    if code not in CURRENCIES:
        raise Refused(Reason.INVALID_CURRENCY, "must be an ISO 4217 code like USD", field="currency")
    return code


async def check_match(reader: GivenReader, match_type: MatchType, match_value: str) -> None:
    """Raise :class:`Refused` unless the value can be matched with, naming ``match_value``.

    A regular expression is tried on the engine that will use it, so that what is saved can be booked.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in match_value):
        raise Refused(Reason.INVALID_TEXT, "holds control characters or lone surrogates", field="match_value")
    if match_type is not MatchType.REGEX:
        return
    if len(match_value.encode()) > REGEX_MAX_BYTES:
        raise Refused(Reason.TOO_LONG, f"a regex may have at most {REGEX_MAX_BYTES} bytes", field="match_value")
    try:
        await reader.rows("regex_check", _Matches, {"pattern": match_value}, refusals=(CANNOT_COMPILE_REGEXP,))
    except QueryRefused as refusal:
        raise Refused(
            Reason.INVALID_REGEX, "not a regular expression of RE2, which has no look-around", field="match_value"
        ) from refusal
