"""Keys of addresses: one a project, shared by processes, gone when erased."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from control.contact_keys import ContactKeys
from control.contacts import Contacts, _fernet
from control.identities import Identities

SECRET = b"a secret of the installation"
P, Q = "0000000a-0000-4000-8000-000000000001", "a site of old"


@pytest.fixture(params=["files", "memory"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> ContactKeys:
    return ContactKeys.beside(tmp_path / "secret" if request.param == "files" else None)


def test_an_erased_key_makes_addresses_unreadable_while_ids_still_match(keys: ContactKeys) -> None:
    contacts = Contacts(SECRET, keys)
    sealed, other = contacts.seal(P, "Ann@Example.com"), contacts.seal(Q, "ann@example.com")
    derived = _fernet(contacts._key(P, "contact address")).encrypt(b"old@example.com").decode()
    id = contacts.id_of(P, "ann@example.com")
    assert [contacts.unseal(P, text) for text in (sealed, derived)] == ["ann@example.com", "old@example.com"]
    assert contacts.unseal(Q, sealed) is None
    assert contacts.erase_key(P)
    assert not contacts.erase_key(P)
    assert [contacts.unseal(P, text) for text in (sealed, derived)] == [None, None]
    assert contacts.unseal(Q, other) == "ann@example.com"
    assert contacts.id_of(P, "ANN@example.com") == id
    fresh = contacts.seal(P, "new@example.com")
    assert [contacts.unseal(P, text) for text in (sealed, fresh)] == [None, "new@example.com"]


def test_processes_share_a_key_and_hear_at_once_that_it_is_gone(tmp_path: Path) -> None:
    processes = [Contacts(SECRET, ContactKeys.beside(tmp_path / "secret")) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda one: one.seal(P, "ann@example.com"), processes))
    assert {one.unseal(P, text) for one in processes for text in sealed} == {"ann@example.com"}
    processes[0].erase_key(P)
    assert {one.unseal(P, text) for one in processes for text in sealed} == {None}
    assert sorted(path.suffix for path in (tmp_path / "contact-keys").iterdir()) == [".erased"]
    file = tmp_path / "contact-keys" / P
    processes[1].seal(P, "x@example.com")
    assert file.stat().st_mode & 0o077 == 0


def test_a_hash_of_an_identity_needs_the_secret_and_clickhouse_can_make_it_from_the_pads() -> None:
    import hashlib

    ours = Identities(SECRET)
    one = ours.digest(P, "user", "ann")
    assert one == Identities(SECRET).digest(P, "user", "ann")
    assert len({one, ours.digest(Q, "user", "ann"), ours.digest(P, "anonymous", "ann"),
                Identities(b"another").digest(P, "user", "ann")}) == 4  # fmt: skip
    inner, outer = (bytes.fromhex(pad) for pad in ours.pads(P))
    nested = hashlib.sha256(outer + hashlib.sha256(inner + b"user\x1fann").digest()).hexdigest()
    assert nested[:32] == one
