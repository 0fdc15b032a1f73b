"""``user_data`` and ``consent`` of a conversion: read, normalised and hashed here, at the edge. Pure.

1. What is given in the clear ends here: nothing of it is passed on, wherever in the event it stood (beside the other
   fields, in ``properties`` or in ``context``; the first of these that has it counts).
2. Only conversions are forwarded, so only they keep identifiers; of another event the sender is warned.
3. A value that cannot be used costs nobody his conversion: it is left out, and the sender is warned.
4. Click ids in the conversion's own URL count where ``user_data`` has none.
"""

from typing import Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from ingest import fields
from ingest.fields import Notice
from schemas.errors import Reason, Refused
from schemas.identifiers import NO_IDENTIFIERS, Identifiers, UserField, VisitorConsent, identifiers_of

FIELD: Final = "user_data"
CONSENT: Final = "consent"
VALUE_MAX: Final = 1024
NAMES: Final = {field.value: field for field in UserField} | {
    "em": UserField.EMAIL,
    "ph": UserField.PHONE,
    "phone_number": UserField.PHONE,
    "fn": UserField.FIRST_NAME,
    "ln": UserField.LAST_NAME,
    "ct": UserField.CITY,
    "st": UserField.STATE,
    "region": UserField.STATE,
    "zp": UserField.POSTAL_CODE,
    "zip": UserField.POSTAL_CODE,
    "client_user_agent": UserField.USER_AGENT,
}
"""The names of members, with those that the platforms use."""
IN_URLS: Final = (UserField.FBCLID, UserField.GCLID, UserField.GBRAID, UserField.WBRAID)


class Stated(msgspec.Struct, frozen=True):
    """What a conversion says about its visitor."""

    identifiers: Identifiers = NO_IDENTIFIERS
    consent: str = ""
    """A value of :class:`schemas.identifiers.VisitorConsent`, or empty."""


NOTHING: Final = Stated()


def read(
    user_data: Raw,
    consent: str | bool | None,
    *,
    url: str,
    user_agent: str,
    at: int,
    notices: list[Notice],
    email: str = "",
) -> Stated:
    """What a conversion states. ``user_agent``: of the visitor's browser, used if the sender states anything.

    ``email``: the address, where the conversion itself has a field for it.

    Raises :class:`Refused` if ``user_data`` is no object or the consent no word that we know.
    """
    said = consent_of(consent)
    written: dict[UserField, str] = {}
    given: dict[UserField, str] = {UserField.EMAIL: email} if email else {}
    if given_in(user_data):
        written = _members(user_data, notices)
        given = {UserField.USER_AGENT: user_agent} | written | given
    for field, value in _clicks_in(url):
        given.setdefault(field, value)
    if not given:
        return Stated(consent=said) if said else NOTHING
    identifiers, unusable = identifiers_of(given, seen_at=at)
    # Of what the sender did not write there is nothing to tell him.
    told = (field for field in unusable if field in written)
    notices += (Notice("user_data_unusable", "has no normal form; left out", f"{FIELD}.{field}") for field in told)
    return Stated(identifiers, said)


def given_in(user_data: Raw) -> bool:
    """Whether it is there, and not ``null``."""
    return bytes(user_data) not in (b"", b"null")


def ignored(user_data: Raw, consent: str | bool | None, notices: list[Notice]) -> None:
    """Warns the sender of an event that is no conversion."""
    for name, given in ((FIELD, given_in(user_data)), (CONSENT, consent is not None)):
        if given:
            notices.append(Notice("field_ignored", "counts for conversions only", name))


def consent_of(value: str | bool | None) -> str:
    """The consent as it is passed on. Raises :class:`Refused` (``invalid_value``)."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return (VisitorConsent.GRANTED if value else VisitorConsent.DENIED).value
    try:
        return VisitorConsent(value.lower()).value
    except ValueError:
        message = f"must be {' or '.join(VisitorConsent)}"
        raise Refused(Reason.INVALID_VALUE, message, field=CONSENT) from None


def _members(raw: Raw, notices: list[Notice]) -> dict[UserField, str]:
    try:
        decoded = fields.decode_any(raw)
    except (msgspec.ValidationError, ValueError):
        raise Refused(Reason.INVALID_VALUE, "holds a number that is out of range", field=FIELD) from None
    if decoded == []:  # PHP writes an empty object as an empty list
        return {}
    if not isinstance(decoded, dict):
        raise fields.wrong_type(FIELD, "an object")
    given: dict[UserField, str] = {}
    for name, value in decoded.items():
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text is None:
            continue
        if name not in NAMES:
            # The name itself is not told: it may be a value that slipped.
            notices.append(Notice("user_data_unknown", "a member of another name; left out", FIELD))
        elif not isinstance(text, str) or len(text) > VALUE_MAX:
            message = f"must be a string of at most {VALUE_MAX} characters; left out"
            notices.append(Notice("user_data_unusable", message, f"{FIELD}.{name}"))
        else:
            given.setdefault(NAMES[name], text)
    return given


def _clicks_in(url: str) -> list[tuple[UserField, str]]:
    if "clid=" not in url and "braid=" not in url:
        return []
    query = url.partition("#")[0].partition("?")[2]
    pairs = dict(reversed(parse_qsl(query, errors="replace")))
    return [(field, pairs[field.value]) for field in IN_URLS if field.value in pairs]
