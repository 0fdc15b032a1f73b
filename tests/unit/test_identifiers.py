"""Normal forms and hashes, by the examples of the platforms' own documents."""

import hashlib
import unicodedata

import pytest

from schemas.identifiers import (
    NO_IDENTIFIERS,
    Identifiers,
    UserField,
    country_of,
    email_of,
    google_email_of,
    hashed,
    identifiers_of,
    name_of,
    phone_of,
    place_of,
    postal_code_of,
)

AT = 1_554_763_741_205


def found(**given: str) -> Identifiers:
    identifiers, unusable = identifiers_of({UserField(name): text for name, text in given.items()}, seen_at=AT)
    assert unusable == []
    return identifiers


def left_out(**given: str) -> list[str]:
    identifiers, unusable = identifiers_of({UserField(name): text for name, text in given.items()}, seen_at=AT)
    assert identifiers == NO_IDENTIFIERS
    return [field.value for field in unusable]


# Meta, "Customer Information Parameters": input and expected SHA-256, as printed there.
META = [
    ("email", "John_Smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
    ("phone", "1(650)555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
    ("first_name", "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
    ("first_name", "정", "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
    ("first_name", "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    ("last_name", "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    ("country", "US", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
]


@pytest.mark.parametrize(("field", "text", "expected"), META)
def test_the_examples_of_metas_document_have_its_hashes(field: str, text: str, expected: str) -> None:
    assert getattr(found(**{field: text}), field) == expected
    assert getattr(found(**{field: f"  {text}\n"}), field) == expected


# Google, Data Manager API: formatting guide, and the hashes of its samples.
GOOGLE = [
    ("dana@example.com", "07e2f1394b0ea80e2adca010ea8318df697001a005ba7452720edda4b0ce57b3"),
    (" DanaM@Example.com ", "1df6b43bc68dd38eca94e6a65b4f466ae537b796c81a526918b40ac4a7b906c7"),
    ("cloudy.sanfrancisco+shopping@gmail.com", "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4"),
    ("alexz@example.com", "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"),
]


@pytest.mark.parametrize(("text", "expected"), GOOGLE)
def test_the_examples_of_googles_document_have_its_hashes(text: str, expected: str) -> None:
    identifiers = found(email=text)
    assert (identifiers.email_google or identifiers.email) == expected


def test_googles_phone_has_its_plus_and_metas_has_none() -> None:
    identifiers = found(phone="+1 (800) 555-0100")
    assert identifiers.phone_e164 == "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"
    assert identifiers.phone == hashlib.sha256(b"18005550100").hexdigest()


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("cloudy.sanfrancisco@gmail.com", "cloudysanfrancisco@gmail.com"),
        ("a.b+c+d@googlemail.com", "ab@googlemail.com"),
        ("user.name+nyc@example.com", "user.name+nyc@example.com"),
        ("+tag@gmail.com", "+tag@gmail.com"),
    ],
)
def test_google_hashes_its_own_mail_without_dots_and_tags(text: str, normal: str) -> None:
    assert google_email_of(text) == normal


def test_a_second_hash_of_an_address_is_kept_only_where_it_differs() -> None:
    assert found(email="ann@gmail.com").email_google == ""
    assert found(email="a.nn@gmail.com").email_google == found(email="ann@gmail.com").email


@pytest.mark.parametrize("text", ["a", "a@b", "@b.c", ".c", "@", "a b@c.d", "a@b@c.d", "a@b.", "a@b c.d"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert email_of(text) == ""


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("16505551212", "16505551212"),
        ("+44 844 412 4653", "448444124653"),
        ("0049 (0) 171 123-4567", "491711234567"),
        ("+49 (0)171/1234567", "491711234567"),
        ("+1.650.555.1212", "16505551212"),
        ("0171 1234567", ""),
        ("+0171 1234567", ""),
        ("000171 1234567", ""),
        ("123456", ""),
        ("1234567", "1234567"),
        ("+123456789012345", "123456789012345"),
        ("+1234567890123456", ""),
        ("call me", ""),
        ("650-CALL-NOW", ""),
        ("١٢٣٤٥٦٧٨", ""),
        ("+", ""),
    ],
)
def test_a_phone_number_is_its_digits_with_the_country_code(text: str, digits: str) -> None:
    assert phone_of(text) == digits


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("O'Neil", "oneil"),
        ("Mary-Jane", "maryjane"),
        ("Mary Ann", "mary ann"),
        ("J.R.", "jr"),
        ("李", "李"),
        ("?!", ""),
    ],
)
def test_a_name_has_no_punctuation(text: str, normal: str) -> None:
    assert name_of(text) == normal


def test_a_letter_is_hashed_composed_however_it_was_written() -> None:
    apart = unicodedata.normalize("NFD", "Valéry")
    assert apart != "Valéry"
    assert found(first_name=apart) == found(first_name="Valéry")
    assert found(city=apart) == found(city="Valéry")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Paris", "paris"),
        ("London ", "london"),
        ("New York", "newyork"),
        ("St. Gallen (SG) 9000", "stgallensg"),
        ("CA", "ca"),
    ],
)
def test_a_city_or_a_state_is_its_letters(text: str, normal: str) -> None:
    assert place_of(text) == normal
    assert found(city=text).city == found(state=text).state == hashed(normal)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("94035", "94035"),
        ("94035-1234", "94035"),
        ("1987", "1987"),
        ("75018", "75018"),
        ("M1 1AE", "m11ae"),
        ("00-950", "00950"),
        ("?", ""),
    ],
)
def test_a_postal_code_has_no_space_and_no_dash(text: str, normal: str) -> None:
    assert postal_code_of(text) == normal


@pytest.mark.parametrize(("text", "normal"), [("US", "us"), (" gb", "gb"), ("USA", ""), ("1a", ""), ("éé", "")])
def test_a_country_is_a_code_of_two_letters(text: str, normal: str) -> None:
    assert country_of(text) == normal


def test_the_projects_own_id_is_hashed_as_it_is() -> None:
    assert found(external_id=" Member-7 ").external_id == hashlib.sha256(b"Member-7").hexdigest()


@pytest.mark.parametrize(
    "field", ["email", "first_name", "last_name", "city", "state", "postal_code", "country", "external_id"]
)
def test_a_hash_passes_as_it_is_in_lower_case(field: str) -> None:
    given = hashlib.sha256(b"ann").hexdigest().upper()
    assert getattr(found(**{field: given}), field) == given.lower()


def test_a_hashed_phone_number_goes_to_both_platforms() -> None:
    given = "a" * 64
    assert found(phone=given) == Identifiers(phone=given, phone_e164=given)


def test_what_a_platform_made_is_kept_in_its_form_only() -> None:
    kept = {
        "fbp": "fb.1.1596403881668.1116446470",
        "fbc": "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890",
        "gclid": "Cj0KCQjw_AbC-123",
        "gbraid": "0AAAAAo1234567",
        "wbraid": "Cl4KCQjw1234567",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
    }
    assert found(**kept) == Identifiers(**kept)
    for name in kept:
        assert left_out(**{name: "ann@example.com"}) == [name]
    assert left_out(user_agent="x" * 1025) == ["user_agent"]
    assert left_out(user_agent="Bröwser") == ["user_agent"]


def test_a_click_id_of_meta_is_made_the_cookie_it_would_have_been() -> None:
    assert found(fbclid="IwAR2F4-dbP0l7Mn1IawQQ").fbc == f"fb.1.{AT}.IwAR2F4-dbP0l7Mn1IawQQ"
    assert left_out(fbclid="a@b.c") == ["fbclid"]
    cookie = "fb.1.1554763741205.AbCdEfGh"
    for order in ({"fbc": cookie, "fbclid": "IwAR2F4-dbP0"}, {"fbclid": "IwAR2F4-dbP0", "fbc": cookie}):
        assert found(**order).fbc == cookie


def test_what_has_no_normal_form_is_left_out_and_named_and_blank_is_nothing() -> None:
    given = {"email": "ann", "phone": "12", "first_name": "?", "city": "1", "country": "Germany", "postal_code": "!"}
    assert left_out(**given) == list(given)
    assert found(email=" ", phone="") == NO_IDENTIFIERS
