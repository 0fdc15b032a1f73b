"""Contacts: named and kept by keys that only the installation has."""

import hashlib
import uuid

from control.contacts import Contacts

OURS = Contacts(b"a secret of the installation")


def test_a_contact_has_one_id_however_the_address_is_spelt_and_another_in_each_project_and_installation() -> None:
    id = OURS.id_of("p", "Ann@Example.com ")
    assert id == OURS.id_of("p", "ann@example.com") == str(uuid.UUID(id))
    assert uuid.UUID(id).version == 8
    assert len({id, OURS.id_of("q", "ann@example.com"), Contacts(b"another secret").id_of("p", "ann@example.com")}) == 3


def test_the_id_is_no_plain_hash_of_the_address() -> None:
    id = uuid.UUID(OURS.id_of("p", "ann@example.com")).hex
    for name in hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}:
        plain = hashlib.new(name, b"ann@example.com", usedforsecurity=False).hexdigest()
        assert id[:12] != plain[:12], name


def test_only_the_project_whose_key_sealed_an_address_can_read_it() -> None:
    sealed = OURS.seal("p", "Ann@example.com")
    assert "ann" not in sealed.lower()
    assert OURS.unseal("p", sealed) == "ann@example.com"
    assert OURS.unseal("q", sealed) is None
    assert Contacts(b"another secret").unseal("p", sealed) is None
    assert OURS.unseal("p", "no seal") is None
    assert OURS.unseal("p", sealed[:-5] + "AAAA=") is None
