"""Who a visitor is to an advertising platform: normalised as its documents say, hashed, in the clear nowhere.

1. What names a person (address, phone number, names, place, the project's own id) is kept as the SHA-256 of its
   normalised form, 64 lower-case hex digits. A value that is such a hash already is kept as it is.
2. What a platform made itself (click ids, cookies) is kept as it is, but only in the form the platform gives it, so
   that nobody's address can hide there. The same holds for the user agent. An IP address has no place here.
3. A value that has no normal form is left out and named: a hash of it would match nobody.
4. Two platforms that normalise differently get a hash each: Google drops dots and tags in addresses of its own mail and
   keeps the ``+`` of a phone number.

``docs/forwarding.md`` has the source of each rule.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

GOOGLE_MAIL: Final = ("gmail.com", "googlemail.com")
PHONE_DIGITS: Final = range(7, 16)
"""E.164 has at most 15 digits, country code included; shorter than 7 is no subscriber."""
USER_AGENT_MAX: Final = 1024


class VisitorConsent(StrEnum):
    """What a visitor is stated to have said about being forwarded to advertising platforms."""

    GRANTED = "granted"
    DENIED = "denied"


class UserField(StrEnum):
    """Members of ``user_data``."""

    EMAIL = "email"
    PHONE = "phone"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    CITY = "city"
    STATE = "state"
    POSTAL_CODE = "postal_code"
    COUNTRY = "country"
    EXTERNAL_ID = "external_id"
    FBP = "fbp"
    FBC = "fbc"
    FBCLID = "fbclid"
    GCLID = "gclid"
    GBRAID = "gbraid"
    WBRAID = "wbraid"
    USER_AGENT = "user_agent"


class Identifiers(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What may leave. The first eleven are SHA-256 in hex; empty: not known."""

    email: str = ""
    email_google: str = ""
    """Only where it differs from ``email``."""
    phone: str = ""
    """Of the digits alone."""
    phone_e164: str = ""
    """Of the digits after a ``+``."""
    first_name: str = ""
    last_name: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    external_id: str = ""
    fbp: str = ""
    fbc: str = ""
    gclid: str = ""
    gbraid: str = ""
    wbraid: str = ""
    user_agent: str = ""


NO_IDENTIFIERS: Final = Identifiers()

_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_TRUNK: Final = "(0)"
"""Written after a country code for who dials from inside the country."""
_PHONE_MARKS: Final = re.compile(r"[\s().\-/]")
_US_ZIP: Final = re.compile(r"([0-9]{5})-?[0-9]{4}")
_CLICK: Final = re.compile(r"[A-Za-z0-9_\-]{6,512}")
_META_COOKIE: Final = re.compile(r"fb\.[0-9]\.[0-9]{10,16}\.[A-Za-z0-9_\-]{1,512}(\.[A-Za-z0-9_\-]{1,16})?")
_VISIBLE_ASCII: Final = re.compile(r"[\x20-\x7e]+")


def hashed(normal: str) -> str:
    """SHA-256 of a normalised value, in lower-case hex."""
    return hashlib.sha256(normal.encode()).hexdigest()


def email_of(text: str) -> str:
    """``Ann@Example.com `` as ``ann@example.com``; empty if it is no address."""
    address = text.strip().lower()
    return address if _EMAIL.fullmatch(address) else ""


def google_email_of(address: str) -> str:
    """A normal address as Google hashes it: its own mail knows neither dots nor a tag after ``+``."""
    local, _, domain = address.rpartition("@")
    if domain not in GOOGLE_MAIL:
        return address
    own = local.partition("+")[0].replace(".", "")
    return f"{own}@{domain}" if own else address


def phone_of(text: str) -> str:
    """``+1 (650) 555-1212`` as ``16505551212``; empty if it is no number with its country code."""
    plain = _PHONE_MARKS.sub("", text.replace(_TRUNK, ""))
    digits = plain.removeprefix("+")
    if digits == plain:
        digits = plain.removeprefix("00")
    fits = digits.isascii() and digits.isdigit() and len(digits) in PHONE_DIGITS
    return digits if fits and not digits.startswith("0") else ""


def name_of(text: str) -> str:
    """``O'Neil `` as ``oneil``: lower case without punctuation; letters beyond a-z stay, composed."""
    kept = (letter for letter in _composed(text) if unicodedata.category(letter)[0] in "LMNZ")
    return "".join(kept).strip()


def place_of(text: str) -> str:
    """``New York`` as ``newyork``: letters alone, in lower case."""
    return "".join(letter for letter in _composed(text) if unicodedata.category(letter)[0] in "LM")


def postal_code_of(text: str) -> str:
    """``94035-1234`` as ``94035``, ``M1 1AE`` as ``m11ae``."""
    code = "".join(text.split()).lower()
    united_states = _US_ZIP.fullmatch(code)
    code = united_states[1] if united_states else code.replace("-", "")
    return code if code.isalnum() else ""


def country_of(text: str) -> str:
    """``US`` as ``us``; empty unless it has the form of a code of ISO 3166-1 alpha-2."""
    code = text.strip().lower()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""


def identifiers_of(given: Mapping[UserField, str], *, seen_at: int) -> tuple[Identifiers, list[UserField]]:
    """The identifiers, and the fields whose values cannot be used. ``seen_at``: when the click id was seen, in ms."""
    found: dict[str, str] = {}
    unusable: list[UserField] = []
    for field, text in given.items():
        stripped = text.strip()
        if not stripped:
            continue
        values = _PLAIN[field](stripped, seen_at) if field in _PLAIN else _hashes(field, stripped)
        if values:
            # A cookie knows more than the click id that it was made from: it wins in any order.
            found = found | values if field is not UserField.FBCLID else values | found
        else:
            unusable.append(field)
    return (Identifiers(**found) if found else NO_IDENTIFIERS), unusable


def _hashes(field: UserField, text: str) -> dict[str, str]:
    """By name of the identifier; empty if the text has no normal form."""
    given = text.lower() if _HASH.fullmatch(text) else ""
    match field:
        case UserField.PHONE if given:
            return {"phone": given, "phone_e164": given}
        case UserField.PHONE:
            digits = phone_of(text)
            return {"phone": hashed(digits), "phone_e164": hashed(f"+{digits}")} if digits else {}
        case UserField.EMAIL if not given and (address := email_of(text)):
            google = google_email_of(address)
            both = {"email": hashed(address)}
            return both if google == address else both | {"email_google": hashed(google)}
        case _ if given:
            return {field.value: given}
        case _:
            normal = _NORMAL[field](text)
            return {field.value: hashed(normal)} if normal else {}


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.lower())


def _cookie(name: str) -> Callable[[str, int], dict[str, str]]:
    return lambda text, _: {name: text} if _META_COOKIE.fullmatch(text) else {}


def _click(name: str) -> Callable[[str, int], dict[str, str]]:
    return lambda text, _: {name: text} if _CLICK.fullmatch(text) else {}


def _fbc(text: str, seen_at: int) -> dict[str, str]:
    """The cookie that Meta's own script would have made of the click id."""
    return {"fbc": f"fb.1.{seen_at}.{text}"} if _CLICK.fullmatch(text) else {}


def _user_agent(text: str, _: int) -> dict[str, str]:
    # Some programs write an address of theirs into it.
    fits = len(text) <= USER_AGENT_MAX and _VISIBLE_ASCII.fullmatch(text) and "@" not in text
    return {"user_agent": text} if fits else {}


_NORMAL: Final[Mapping[UserField, Callable[[str], str]]] = {
    UserField.EMAIL: email_of,
    UserField.FIRST_NAME: name_of,
    UserField.LAST_NAME: name_of,
    UserField.CITY: place_of,
    UserField.STATE: place_of,
    UserField.POSTAL_CODE: postal_code_of,
    UserField.COUNTRY: country_of,
    UserField.EXTERNAL_ID: str.strip,
}
_PLAIN: Final[Mapping[UserField, Callable[[str, int], dict[str, str]]]] = {
    UserField.FBP: _cookie("fbp"),
    UserField.FBC: _cookie("fbc"),
    UserField.FBCLID: _fbc,
    UserField.GCLID: _click("gclid"),
    UserField.GBRAID: _click("gbraid"),
    UserField.WBRAID: _click("wbraid"),
    UserField.USER_AGENT: _user_agent,
}
