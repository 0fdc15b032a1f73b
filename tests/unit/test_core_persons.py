"""Who is behind a conversion, and where the touches of that person are."""

from collections.abc import Collection

from processors.core.persons import Edges, Key, Person, Way, clicks, person_of, reach


def key(name: str) -> Key:
    """``user ann``: of kind user."""
    kind, value = name.split()
    return Key("p", kind, value)


def keys(*names: str) -> frozenset[Key]:
    return frozenset(map(key, names))


def graph(*ties: str) -> Edges:
    """``session 1 - user ann``: each carries the other."""
    edges: dict[Key, set[Key]] = {}
    for tie in ties:
        one, other = map(key, tie.split(" - "))
        edges.setdefault(one, set()).add(other)
        edges.setdefault(other, set()).add(one)
    return edges


def person(named: Collection[str], edges: Edges, *capped: str) -> Person:
    return person_of(keys(*named), edges, keys(*capped))


def ways(of: Person, edges: Edges) -> dict[str, str]:
    """Place -> what it is matched by."""
    return {f"{place.kind} {place.key}": way.matched_by for place, way in reach(of, edges).items()}


def test_own_are_the_identities_named_and_those_of_the_session_named() -> None:
    edges = graph("session s - anonymous a", "session s - contact c", "session s - user ann")
    assert person(["session s", "fingerprint f"], edges) == Person(
        own=keys("session s", "fingerprint f", "anonymous a", "contact c"), user=key("user ann"), known=frozenset()
    )


def test_the_user_named_counts_whoever_else_was_seen() -> None:
    edges = graph("session s - user bob", "session s - anonymous a")
    assert person(["user ann", "session s"], edges).user == key("user ann")


def test_the_user_behind_is_that_of_the_contact_then_of_the_session_then_of_the_browser() -> None:
    edges = graph(
        "session 1 - contact c",
        "session 1 - user by-contact",
        "session s - user by-session",
        "conversion 2 - anonymous a",
        "conversion 2 - user by-browser",
    )
    named = ["contact c", "session s", "anonymous a"]
    assert person(named, edges).user == key("user by-contact")
    assert person(named[1:], edges).user == key("user by-session")
    assert person(named[2:], edges).user == key("user by-browser")
    assert person([], edges).user is None


def test_two_users_of_one_browser_name_nobody() -> None:
    edges = graph("session 1 - anonymous a", "session 1 - user ann", "session 2 - anonymous a", "session 2 - user bob")
    assert person(["anonymous a"], edges).user is None


def test_known_are_the_other_browsers_and_contacts_of_the_user() -> None:
    edges = graph(
        "session 1 - user ann", "session 1 - anonymous phone", "conversion 2 - user ann", "conversion 2 - contact c"
    )
    assert person(["user ann", "anonymous desk"], edges).known == keys("anonymous phone", "contact c")


def test_capped_keys_are_nobodys() -> None:
    edges = graph("session 1 - user ann", "session 1 - anonymous phone", "session 1 - contact c")
    assert person(["anonymous phone"], edges, "anonymous phone").own == frozenset()
    assert person(["anonymous phone"], edges, "user ann").user is None
    assert person(["user ann"], edges, "contact c").known == keys("anonymous phone")


def test_a_place_is_matched_by_the_best_identity_that_leads_there() -> None:
    edges = graph(
        "session 1 - user ann", "session 1 - anonymous phone", "session 2 - anonymous phone", "session 3 - click 7"
    )
    found = ways(person(["session 2", "user ann", "anonymous phone", "click 7", "fingerprint f"], edges), edges)
    assert found == {
        "session 1": "user",
        "session 2": "session",
        "session 3": "click",
        "fingerprint f": "fingerprint",
    }


def test_a_session_of_another_user_is_reached_by_click_and_by_no_browser() -> None:
    edges = graph(
        "session 1 - anonymous kiosk", "session 1 - user bob", "session 2 - anonymous kiosk", "session 1 - click 7"
    )
    assert ways(person(["user ann", "anonymous kiosk"], edges), edges) == {"session 2": "anonymous"}
    assert ways(person(["user ann", "click 7"], edges), edges) == {"session 1": "click"}


def test_a_known_browser_that_users_share_leads_nowhere_and_an_own_one_does() -> None:
    edges = graph(
        "session 1 - anonymous kiosk",
        "session 1 - user ann",
        "conversion 2 - anonymous kiosk",
        "conversion 2 - user bob",
        "session 3 - anonymous kiosk",
    )
    assert ways(person(["user ann"], edges), edges) == {"session 1": "user"}
    assert ways(person(["user ann", "anonymous kiosk"], edges), edges) == {
        "session 1": "user",
        "session 3": "anonymous",
    }


def test_a_contact_is_a_place_of_its_own() -> None:
    edges = graph("conversion 1 - user ann", "conversion 1 - contact c")
    assert ways(person(["user ann"], edges), edges) == {"contact c": "contact"}


def test_clicks_are_those_named_and_those_that_led_into_sessions_reached() -> None:
    edges = graph("session 1 - anonymous a", "session 1 - click 7", "session 2 - anonymous a", "session 2 - click 8")
    whose = person(["anonymous a", "click 8", "click 9", "fingerprint f"], edges)
    assert clicks(whose, reach(whose, edges), edges, telling=keys("session 1", "session 2")) == {
        key("click 7"): Way(5, landed=True),
        key("click 8"): Way(1, landed=True),
        key("click 9"): Way(1),
    }
    assert not any(way.landed for way in clicks(whose, reach(whose, edges), edges, telling=()).values())
