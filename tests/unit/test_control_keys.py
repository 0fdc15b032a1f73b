"""API keys and the names of projects."""

import re

import pytest

from control.keys import PUBLIC_SCOPES, hint, new_key, well_formed
from control.projects import checked_name, checked_time_zone
from schemas.control import ALL_SCOPES, KeyKind, Scope, digest
from schemas.errors import Reason, Refused


@pytest.mark.parametrize(("kind", "prefix"), [(KeyKind.PUBLIC, "pk_live_"), (KeyKind.SECRET, "sk_live_")])
def test_a_key_is_its_prefix_and_49_base62_digits(kind: KeyKind, prefix: str) -> None:
    key, text = new_key("p", kind, PUBLIC_SCOPES, "", 7)

    assert re.fullmatch(prefix + "[0-9A-Za-z]{49}", text)
    assert well_formed(text)
    assert key.digest == digest(text)
    assert key.created_at == 7


def test_nothing_that_is_stored_gives_the_key_away() -> None:
    key, text = new_key("p", KeyKind.SECRET, ALL_SCOPES, "server", 0)

    assert key.hint == hint(text)
    assert len(key.hint) == 17
    assert text not in repr(key)
    assert text[12:-4] not in repr(key)


def test_any_single_wrong_character_is_noticed() -> None:
    _, text = new_key("p", KeyKind.SECRET, ALL_SCOPES, "", 0)
    wrong = [text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :] for at in range(len(text))]

    assert not any(well_formed(each) for each in wrong)


@pytest.mark.parametrize(
    "text", ["", "sk_live_", "sk_live_" + "a" * 49, "pk_live_" + "é" * 49, "\ud800", "x" * 100_000]
)
def test_what_cannot_be_a_key_is_not_well_formed(text: str) -> None:
    assert not well_formed(text)


def test_scopes_are_kept_once_and_in_order() -> None:
    key, _ = new_key("p", KeyKind.SECRET, [Scope.ANALYTICS_READ, Scope.EVENTS_WRITE, Scope.ANALYTICS_READ], "", 0)

    assert key.scopes == (Scope.EVENTS_WRITE, Scope.ANALYTICS_READ)


@pytest.mark.parametrize(
    ("kind", "scopes", "name", "reason", "field"),
    [
        (KeyKind.SECRET, (), "", Reason.INVALID_VALUE, "scopes"),
        (KeyKind.PUBLIC, (), "", Reason.INVALID_VALUE, "scopes"),
        (KeyKind.PUBLIC, (Scope.EVENTS_WRITE, Scope.ANALYTICS_READ), "", Reason.INVALID_VALUE, "scopes"),
        (KeyKind.SECRET, ALL_SCOPES, "x" * 201, Reason.TOO_LONG, "name"),
    ],
)
def test_a_key_that_must_not_be_is_refused(
    kind: KeyKind, scopes: tuple[Scope, ...], name: str, reason: Reason, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        new_key("p", kind, scopes, name, 0)

    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_a_name_loses_the_space_around_it() -> None:
    assert checked_name("  Käse & Söhne ") == "Käse & Söhne"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", Reason.INVALID_VALUE),
        (" \t", Reason.INVALID_VALUE),
        ("x" * 201, Reason.TOO_LONG),
        ("a\x00b", Reason.INVALID_TEXT),
        ("a\ud800b", Reason.INVALID_TEXT),
    ],
)
def test_a_bad_name_is_refused_by_its_reason(name: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        checked_name(name)

    assert (refused.value.reason, refused.value.field) == (reason, "name")


@pytest.mark.parametrize("name", ["UTC", "Europe/Vienna", "Asia/Kolkata"])
def test_iana_time_zones_are_taken(name: str) -> None:
    assert checked_time_zone(name) == name


@pytest.mark.parametrize("name", ["", "Europe", "utc+1", "../../etc/passwd", "/etc/localtime", "posixrules", "\x00"])
def test_other_time_zones_are_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        checked_time_zone(name)

    assert refused.value.field == "time_zone"
